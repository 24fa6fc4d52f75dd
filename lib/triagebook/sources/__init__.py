"""Systems that evidence comes from: one folder a kind, one file a system."""
