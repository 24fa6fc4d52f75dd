"""Drills: worlds that are like real deployments, and the alerts they send."""
