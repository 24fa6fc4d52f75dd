"""How bad it is: SEV1 to SEV4 from impact, criticality and whether it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triagebook.core.models import Impact, Severity
from triagebook.core.words import count, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triagebook.core.models import Service, SeverityLevel, Verdict

WRONG_SEV1 = 0.25
"""Share of decisions likely wrong from which a highly critical service is SEV1."""
WRONG_SEV2 = 0.05
"""The same for SEV2; a tenth of it for a highly critical service that nobody has stopped."""


def severity(
    service: Service,
    verdict: Verdict,
    impact: Sequence[Impact],
    *,
    wrong_share: float | None,
    going_on: bool,
    fault: bool,
    felt: bool = False,
    climbs: bool = False,
    resolved: bool = False,
) -> Severity:
    """Propose a severity with its reasons.

    Parameters
    ----------
    wrong_share : float or None
        Share of decisions likely wrong since the onset, [0, 1]; None where unknown.
    going_on : bool
        Whether the newest rows are still bad.
    fault : bool
        Whether the first hypothesis is a fault rather than a season or nothing.
    felt : bool
        Whether something was seen to be worse than usual, of which no cause was found.
    resolved : bool
        Whether the alert says that it is over: the newest rows are then those before that.
    climbs : bool
        Whether it is something that will meet a limit: then it is no SEV4 though nothing fails yet.

    Returns
    -------
    Severity
    """
    because: list[str] = []
    critical = service.criticality == "high"
    if felt:
        why = "something is worse than usual, and why was not found"
        return Severity(level="SEV2" if critical else "SEV3", because=[why])
    if verdict == "inconclusive" and not fault:
        why = "no fault was found in what was seen; that is not enough to say that there is none"
        return Severity(level="SEV4", because=[why])
    if verdict == "healthy" or not fault:
        return Severity(level="SEV4", because=["no fault was found that does harm"])
    level: SeverityLevel = "SEV3"
    if wrong_share is None:
        because.append("how many decisions or requests are hit is not known")
        if critical:
            level = "SEV2"
    else:
        names = ("predictions likely wrong", "requests failed", "requests over target")
        wrong = next((i for n in names for i in impact if i.what == n), None)
        said = f"{share(wrong_share)} of decisions since the onset are likely wrong"
        if wrong is not None and wrong.what.startswith("requests"):
            said = f"{share(wrong_share)} of requests since the onset failed or were over target"
        because.append(said + (f" ({count(wrong.value)})" if wrong else ""))
        if wrong_share >= WRONG_SEV1 and critical:
            level = "SEV1"
        elif wrong_share >= WRONG_SEV2 or (critical and wrong_share >= WRONG_SEV2 / 10):
            level = "SEV2"
        elif wrong_share < 0.001 and climbs:
            because.append("what climbs will meet its limit")
        elif wrong_share < 0.001:
            level = "SEV4"
    if critical:
        because.append("the service is of high criticality")
    elif service.criticality:
        because.append(f"the service is of {service.criticality} criticality")
    if going_on and resolved:
        # Not a level less: an alert may also be "resolved" because its sender fell silent.
        because.append("it went on until the alert was resolved; nothing later was looked at")
    else:
        because.append("it is still going on" if going_on else "it has stopped")
    if not going_on and level in ("SEV1", "SEV2"):
        level = "SEV2" if level == "SEV1" else "SEV3"
    return Severity(level=level, because=because)
