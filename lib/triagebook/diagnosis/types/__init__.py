"""One file an incident type: what it means, which checks it runs, and the words of its notebook."""
