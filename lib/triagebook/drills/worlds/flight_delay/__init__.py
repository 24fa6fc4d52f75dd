"""The demo world flight-delay: real flights of 2013, a real model, and one ingest change."""

from triagebook.drills.worlds.flight_delay.build import build
from triagebook.drills.worlds.flight_delay.world import Fault, Truth, World

__all__ = ["Fault", "Truth", "World", "build"]
