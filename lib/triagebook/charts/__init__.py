"""Charts: a result in, a Figure out; never a query. One visual language, `style`."""
