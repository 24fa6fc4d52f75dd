"""What slow or failed answers cost so far: requests in the bad time, over their target, failed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.core.models import Impact

if TYPE_CHECKING:
    from triagebook.analysis.telemetry import Reading
    from triagebook.core.models import Onset
    from triagebook.diagnosis.context import Context

_QUANTILE = re.compile(r"p(\d{2,3})(?!\d)|quantile=0?\.(\d+)|stat=p(\d{2,3})", re.IGNORECASE)


def requests(ctx: Context, onset: Onset) -> tuple[list[Impact], float | None]:
    """Count requests since the onset, those over their target, and those that failed.

    Returns
    -------
    (impacts, share)
        Share of requests that were over target or failed, [0, 1]; None where it cannot be told.
    """
    scene = ctx.scene
    if not scene.symptoms:
        return [], None
    begin = pd.Timestamp(onset.at).value
    end = pd.Timestamp(ctx.bundle.windows.current[1]).value
    total = scene.total("traffic", component=scene.entry) or scene.total(
        "traffic", component=scene.name
    )
    total = total or scene.total("traffic")
    if total is None or not total.series.unit.endswith("/s"):
        return [], None
    served = _integral(total, begin, end)
    if served is None or served <= 0:
        return [], None
    out = [
        Impact(
            what="requests since the onset",
            value=round(served),
            unit="requests",
            how=f"{total.title}, summed from the onset to the end of the window",
        )
    ]
    shares = [
        over for over in (_over_target(ctx, begin, end), _failed(ctx, total, begin, end)) if over
    ]
    worst = 0.0
    for what, value, low, high, how in shares:
        out.append(
            Impact(
                what=what,
                value=round(value * served),
                unit="requests",
                low=round(low * served),
                high=round(high * served),
                how=how,
            )
        )
        worst = max(worst, value)
    return out, worst if shares else None


def _integral(reading: Reading, begin: int, end: int) -> float | None:
    part = reading.series.within(begin, end + 1)
    if len(part.values) < 2:
        return None
    return float(np.mean(part.values)) * (end - begin) / 1e9


def _over_target(ctx: Context, begin: int, end: int) -> tuple[str, float, float, float, str] | None:
    """Bound the share over the target by the quantiles that are known: p95 over it is a twentieth at least."""
    scene = ctx.scene
    slow = scene.slow
    if slow is None or slow.shift is None:
        return None
    target, how = _target(ctx, slow)
    seconds = slow.seconds
    known: dict[float, float] = {}
    for reading in scene.symptoms:
        found = _QUANTILE.search(reading.title)
        if found is None or reading.component != slow.component or reading.measure != slow.measure:
            continue
        digits = next(d for d in found.groups() if d)
        quantile = float(f"0.{digits}")
        values = reading.series.within(begin, end + 1).values
        if len(values):
            known[quantile] = float(np.median(values)) * reading.seconds / seconds
    above = [q for q, value in known.items() if value > target]
    below = [q for q, value in known.items() if value <= target]
    if not known:
        return None
    low = 1 - min(above) if above else 0.0
    high = 1 - max(below) if below else 1.0
    value = (low + high) / 2 if above else low
    return (
        "requests over target",
        value,
        low,
        max(high, low),
        f"between the quantiles that lie on either side of {target:.4g} {slow.series.unit} ({how})",
    )


def _target(ctx: Context, slow: Reading) -> tuple[float, str]:
    limit = ctx.bundle.alert.threshold
    moved = slow.shift
    top = moved.after if moved is not None else float(np.median(slow.series.values))
    if limit is not None and 0.1 <= limit / max(top, 1e-12) <= 10:
        return limit, "the alert's threshold"
    start = pd.Timestamp(ctx.bundle.windows.current[0]).value
    old = slow.series.within(0, start).values
    return float(np.quantile(old, 0.99)), "99 % of the reference lies below"


def _failed(
    ctx: Context, total: Reading, begin: int, end: int
) -> tuple[str, float, float, float, str] | None:
    scene = ctx.scene
    failing = [r for r in scene.symptoms if r.measure == "errors" and r.series.unit.endswith("/s")]
    if not failing or failing[0].shift is None:
        return None
    served = _integral(total, begin, end)
    lost = [_integral(r, begin, end) or 0.0 for r in failing if r.component == failing[0].component]
    if not served:
        return None
    value = min(sum(lost) / served, 1.0)
    most = min(max(max(lost) / served, 0.0), 1.0)
    return (
        "requests failed",
        value,
        min(most, value),
        value,
        f"{failing[0].title}, summed from the onset; at least what its largest part says",
    )
