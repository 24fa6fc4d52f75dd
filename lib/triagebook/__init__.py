"""triagebook: when an alert about an ML pipeline fires, the investigation is already written."""

__version__ = "0.1.0"
