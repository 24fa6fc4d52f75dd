"""The words that both halves share: models, errors, settings, registry, paths."""
