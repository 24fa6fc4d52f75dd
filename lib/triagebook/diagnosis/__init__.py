"""Checks to findings, findings to ranked hypotheses, impact, severity and proposed actions."""
