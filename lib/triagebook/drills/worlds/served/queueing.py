"""How long calls take: queues that grow with utilisation, and distributions with heavy tails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy.special import erf

if TYPE_CHECKING:
    from triagebook.drills.worlds.served.clock import Array

NETWORK_S = 0.0004
_FULL = 0.97
_MOST_ODD = 0.5
_QUEUE = 6.0  # calls that may wait, for each that is worked on
Parts: TypeAlias = "dict[str, tuple[Array, Array]]"


def wait_s(busy: Array, workers: int, wall_s: Array, timeout_s: float) -> Array:
    """Return the mean seconds a call waits for a free worker.

    Parameters
    ----------
    busy : ndarray
        Offered load over capacity; from 1 on the queue is as long as it may get, and the rest is
        turned away (`turned_away`).
    workers : int
    wall_s : ndarray
        Seconds a call holds a worker.
    timeout_s : float
        Seconds after which callers give up.

    References
    ----------
    Sakasegawa (1977), An approximation formula Lq of ρ^b/(1−ρ); here with squared coefficients
    of variation of arrivals and service that add up to 3, bursty as real traffic is.
    """
    rho = np.clip(busy, 0.0, _FULL)
    queued = 1.5 * rho ** (np.sqrt(2.0 * (workers + 1)) - 1) / (workers * (1 - rho)) * wall_s
    over = np.minimum(4.0 * np.clip(busy - _FULL, 0.0, None), 1.0) * _QUEUE * wall_s
    return np.asarray(np.minimum(queued + over, 0.9 * timeout_s))


def turned_away(busy: Array) -> Array:
    """Return the share of calls for which neither a worker nor room in the queue is left."""
    return np.asarray(np.clip(1 - 1.03 / np.maximum(busy, 1.0), 0.0, 0.95))


def contention(pressure: Array) -> Array:
    """Return by what factor work takes longer on a host, from its demand over its cores."""
    p = np.clip(pressure, 0.0, None)
    held = np.minimum(p, 1.0)
    return np.asarray(
        1 + 0.15 * held**6 / np.maximum(1 - held, 0.05) + 2.0 * np.maximum(p - 1.0, 0.0)
    )


def throttled(ratio: Array) -> Array:
    """Return the share of CPU periods throttled, from the cores wanted over the limit.

    Quotas are spent in bursts, so periods are cut off well before the mean meets the limit.
    """
    return np.asarray(0.96 * np.clip((ratio - 0.72) / 0.33, 0.0, 1.0) ** 1.6)


@dataclass
class Latency:
    """Of calls to one service: log-normal, and shares of calls that take some time longer.

    Attributes
    ----------
    body_s : ndarray
        Mean of the log-normal part, seconds.
    sigma : float
        Of its logarithm.
    parts : dict of str to (ndarray, ndarray)
        By the reason ("miss", "slow", "pause", "odd"): the share of calls, and how many seconds
        longer they take. No call has two reasons.
    cap_s : float
        Seconds after which a call ends, one way or the other.
    """

    body_s: Array
    sigma: float
    parts: Parts
    cap_s: float = 30.0

    @property
    def mean_s(self) -> Array:
        """Return the mean, seconds."""
        total = self.body_s
        for share, more_s in self.parts.values():
            total = total + share * more_s
        return np.asarray(np.minimum(total, self.cap_s))

    def below(self, seconds: float | Array) -> Array:
        """Return the share of calls that take at most so long."""
        at = np.asarray(seconds, dtype=np.float64)
        usual = np.ones_like(self.body_s)
        total = np.zeros_like(self.body_s)
        for share, more_s in self.parts.values():
            usual = usual - share
            total = total + share * self._body_below(at - more_s)
        total = total + np.clip(usual, 0, 1) * self._body_below(at)
        return np.asarray(np.where(at >= self.cap_s, 1.0, np.clip(total, 0, 1)))

    def _body_below(self, seconds: Array) -> Array:
        center = np.log(np.maximum(self.body_s, 1e-9)) - self.sigma**2 / 2
        z = (np.log(np.maximum(seconds, 1e-9)) - center) / self.sigma
        return np.asarray(np.where(seconds <= 0, 0.0, 0.5 * (1 + erf(z / np.sqrt(2)))))

    def quantile(self, level: float) -> Array:
        """Return the latency that a share of calls stays below, by bisection, seconds."""
        low = np.log(np.maximum(self.body_s, 1e-9)) - 6
        most = self.body_s
        for _, more_s in self.parts.values():
            most = np.maximum(most, self.body_s + more_s)
        high = np.log(np.maximum(most, 1e-9)) + 4 * self.sigma
        for _ in range(20):
            middle = (low + high) / 2
            enough = self.below(np.exp(middle)) >= level
            high = np.where(enough, middle, high)
            low = np.where(enough, low, middle)
        return np.asarray(np.minimum(np.exp((low + high) / 2), self.cap_s))

    def pod(self, number: int) -> Latency:
        """Return one replica's, of arrays of shape (P, T)."""
        parts = {name: (share[number], more[number]) for name, (share, more) in self.parts.items()}
        return Latency(self.body_s[number], self.sigma, parts, self.cap_s)


def both(first: tuple[Array, Array], second: tuple[Array, Array]) -> tuple[Array, Array]:
    """Combine two (share, seconds) of calls that take longer into one of the same mean and square.

    Keeping the square keeps the tail: many short waits must not hide a few long ones.
    """
    total = first[0] * first[1] + second[0] * second[1]
    square = first[0] * first[1] ** 2 + second[0] * second[1] ** 2
    seconds = np.where(total > 0, square / np.maximum(total, 1e-15), 0.0)
    share = np.where(seconds > 0, total / np.maximum(seconds, 1e-15), 0.0)
    return np.minimum(share, 1.0), seconds


def bounded(body_s: Array, parts: Parts) -> tuple[Array, Parts]:
    """Keep most calls usual: what nearly all calls wait for is no exception, and goes to the body."""
    total = np.zeros_like(body_s)
    for share, _ in parts.values():
        total = total + share
    kept = np.minimum(1.0, _MOST_ODD / np.maximum(total, 1e-12))
    for share, more_s in parts.values():
        body_s = body_s + (1 - kept) * share * more_s
    return body_s, {name: (kept * share, more_s) for name, (share, more_s) in parts.items()}


def add(parts: Parts, name: str, more: tuple[Array, Array]) -> None:
    """Add calls that take longer for a reason to those that do already."""
    parts[name] = both(parts[name], more) if name in parts else more
