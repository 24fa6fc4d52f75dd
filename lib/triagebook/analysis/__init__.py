"""Pure functions on arrays and frames: they get data, give results, and read or draw nothing."""
