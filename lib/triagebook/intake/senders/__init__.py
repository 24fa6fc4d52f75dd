"""One file per alert sender: how it proves who it is, and how its body is read."""
