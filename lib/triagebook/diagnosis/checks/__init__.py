"""The checks, one module a subject; every module here is found by the registry."""
