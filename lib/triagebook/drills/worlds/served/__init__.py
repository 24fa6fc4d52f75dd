"""The world "served": an online model behind a call graph, its hosts, and the batch that feeds it; all simulated."""

from triagebook.drills.scenario import WORLDS
from triagebook.drills.worlds.served.world import Served

WORLDS.register("served")(Served())

__all__ = ["Served"]
