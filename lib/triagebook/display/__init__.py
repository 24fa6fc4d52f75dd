"""Fragments: a result in, escaped HTML out, complete even where styles and scripts are stripped."""
