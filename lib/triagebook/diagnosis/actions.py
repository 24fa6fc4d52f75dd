"""What could be done about it: proposals with what they would touch, their inverse and their risk.

No action system is connected yet, so every proposal has mode "off": people carry it out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from triagebook.core.models import Action
from triagebook.core.words import clock, count
from triagebook.diagnosis.checks.versions import new_models

if TYPE_CHECKING:
    from triagebook.core.models import Hypothesis, Onset
    from triagebook.diagnosis.context import Context


def propose(ctx: Context, first: Hypothesis | None, onset: Onset | None) -> list[Action]:
    """Propose actions for the first hypothesis, the one that stops the harm first."""
    if first is None:
        return []
    out: list[Action] = []
    name = first.locus.partition(":")[2]
    table, column = (
        (name.rpartition(".")[0], name.rpartition(".")[2])
        if first.locus.startswith("column:")
        else ("", "")
    )
    suspects = [(c, node) for c, node in ctx.results.get("suspects", []) if _concerns(node, first)]
    for change, node in suspects[:2]:
        if "roll_back" not in first.actions:
            break
        out.append(
            Action(
                action="roll_back",
                target=node,
                params={"from": change.to, "to": change.from_},
                title=f"Roll {node} back"
                + (f" from {change.to} to {change.from_}" if change.from_ else ""),
                dry_run=f"would undo: {change.what}, live since {clock(change.ts)}"
                + (f", by {change.by}" if change.by else ""),
                inverse=f"deploy {change.to or 'the new version'} again",
                risk="other fixes of that release go as well",
            )
        )
    if "quarantine" in first.actions and table and onset is not None:
        rows = _rows_since(ctx, table, onset)
        out.append(
            Action(
                action="quarantine",
                target=f"table:{table}",
                params={"since": onset.at.isoformat().replace("+00:00", "Z")},
                title=f"Set {table} from {clock(onset.at)} aside",
                dry_run=f"{count(rows)} rows of {table} would be marked bad for training and serving"
                if rows is not None
                else "how many rows it touches is not known",
                inverse="release the marked rows",
                risk="serving has no fresh rows until the correction is in",
            )
        )
    constant = ctx.results.get("constants", {}).get(first.locus)
    if first.cause == "data.unit_change" and constant is not None:
        change = constant[0]
        params: dict[str, Any] = {
            "column": column,
            "factor": change.factor,
            "offset": change.offset,
        }
        out.append(
            Action(
                action="correct_data",
                target=first.locus,
                params=params,
                title=f"Convert {column} back and score again",
                dry_run=f"{column} of the rows since {clock(onset.at) if onset else 'the onset'} would be "
                f"divided by {change.factor:.7g}"
                + (f" after taking {change.offset:+.4g} off" if change.offset else ""),
                inverse="the same with the inverse constant; keep the old rows beside",
                risk="none to the model; downstream copies have to be corrected as well",
            )
        )
    if not out:
        moves = [move for move in first.actions[:2] if _possible(ctx, first, move)]
        out += [_plain(move, first) for move in moves or ["call_owner"]]
    return out


def _concerns(node: str, first: Hypothesis) -> bool:
    """Whether undoing a change of this component would help: where one component is to blame, only its own."""
    kind, _, name = first.locus.partition(":")
    if kind not in ("service", "dependency", "instance", "host"):
        return True
    # An instance carries the name of what it is an instance of.
    return name == node or (kind == "instance" and name.startswith(f"{node}-"))


def _possible(ctx: Context, first: Hypothesis, move: str) -> bool:
    """Whether there is something to go back to: another model version, a change of what is to blame."""
    if move == "roll_back" and ctx.results.get("suspects"):
        return False  # the changes that are known concern something else
    if first.cause != "model.segment_regression" or ctx.bundle.changes is None:
        return True
    return bool(new_models(ctx)) if move == "roll_back_model" else False


_PLAIN = {
    "watch": ("Watch it", "nothing is touched", "none", "none"),
    "close": ("Close the incident", "the episode is marked as no fault", "open it again", "none"),
    "adjust_reference": (
        "Let the reference follow the season",
        "the reference window would roll",
        "pin the window again",
        "a slow fault can hide in a rolling reference",
    ),
    "retrain": (
        "Train on recent rows",
        "a candidate model, compared before it serves",
        "keep serving the present version",
        "the new rows may be at fault",
    ),
    "roll_back": (
        "Roll back the last change upstream",
        "no change upstream is known",
        "deploy it again",
        "other fixes go as well",
    ),
    "roll_back_model": (
        "Serve the last good model version",
        "the registry's alias would move",
        "move the alias back",
        "the old version may lack features",
    ),
    "quarantine": (
        "Set the bad rows aside",
        "rows since the onset would be marked",
        "release them",
        "no fresh rows meanwhile",
    ),
    "backfill": (
        "Load the missing rows again",
        "rows since the onset would be asked for anew",
        "none needed",
        "load on the source",
    ),
    "call_owner": ("Call the owner of what is upstream", "nothing is touched", "none", "none"),
    "retry": (
        "Run the failed task again",
        "the task and what depends on it would run",
        "none needed",
        "it fails again while its cause is there",
    ),
    "renew_access": (
        "Renew the credentials",
        "one secret is replaced",
        "the old secret, where still valid",
        "other users of the secret",
    ),
    "free_disk": (
        "Free or add disk space",
        "nothing is touched until somebody chooses what to delete",
        "none: deleted is deleted",
        "deleting the wrong thing",
    ),
    "scale": ("Add capacity", "more replicas", "scale back", "cost"),
    "restart": (
        "Restart the process",
        "one replica at a time",
        "none needed",
        "heals a leak only for a while",
    ),
}


def _plain(move: str, first: Hypothesis) -> Action:
    title, dry_run, inverse, risk = _PLAIN[move]
    return Action(
        action=move, target=first.locus, title=title, dry_run=dry_run, inverse=inverse, risk=risk
    )


def _rows_since(ctx: Context, table: str, onset: Onset) -> int | None:
    view = ctx.view(table) if table in ctx.tables else None
    if view is None or not view.timed:
        return None
    return int((view.current_times >= pd.Timestamp(onset.at).value).sum())
