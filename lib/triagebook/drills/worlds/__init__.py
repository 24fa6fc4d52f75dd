"""One package or module a world; each builds a home folder that triagebook can work on."""
