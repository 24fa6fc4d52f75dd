"""The commands: parse, call, print. What a command does is done elsewhere."""
