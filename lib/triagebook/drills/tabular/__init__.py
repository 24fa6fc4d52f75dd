"""A batch model service on tables: rows in, features, predictions, late labels, and all that watches it."""
