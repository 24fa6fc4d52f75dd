"""Read models from JSON that others wrote: what is wrong is left out and named, the rest is kept."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from pathlib import Path

M = TypeVar("M", bound=BaseModel)


def load_json(path: Path, problems: list[str]) -> Any:
    """Return a file's JSON; None, and a problem that names the file, where it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        problems.append(f"{path.name} cannot be read: {error.strerror or error}")
    except (ValueError, RecursionError) as error:
        problems.append(f"{path.name} is no JSON: {error}")
    return None


def model_from(kind: type[M], data: object, where: str, problems: list[str]) -> M | None:
    """Build a model, leaving out keys whose values do not fit.

    Parameters
    ----------
    kind : type
        The model.
    data : object
        What the JSON held.
    where : str
        The file and place, for messages.
    problems : list of str
        Gets a line for each key left out.

    Returns
    -------
    model or None
        None where `data` is no object, or a key that must be there is missing or wrong.
    """
    if not isinstance(data, dict):
        problems.append(f"{where}: expected an object, got {type(data).__name__}")
        return None
    kept = dict(data)
    said: list[str] = []
    for _ in range(len(kept) + 1):
        try:
            model = kind.model_validate(kept)
        except ValidationError as error:
            wrong = error.errors(include_url=False)
            if not _repair(kept, wrong, said):
                first = wrong[0]
                key = ".".join(str(p) for p in first["loc"])
                problems.append(f"{where}: {key}: {first['msg']}")
                return None
        else:
            problems.extend(f"{where}: {line}" for line in said)
            return model
    problems.append(f"{where}: could not be read")
    return None


def _repair(data: dict[str, Any], wrong: list[Any], said: list[str]) -> bool:
    """Change or drop each top-level key that pydantic complains of; False where that cannot help."""
    gone: set[Any] = set()
    for item in wrong:
        key = item["loc"][0] if item["loc"] else None
        if item["type"] == "missing" and len(item["loc"]) == 1:
            return False
        if key in gone:
            continue  # a list complains once for each of its items
        if key not in data:
            return False
        value = data[key]
        if item["type"] == "string_type" and len(item["loc"]) == 1 and _scalar(value):
            data[key] = str(value)  # a run numbered 17 is the run "17"
            continue
        del data[key]
        gone.add(key)
        if _nothing(value):
            continue  # null, or [null, null]: not known, which is what a missing key says
        text = json.dumps(value, default=str)
        said.append(f"{key!r} left out, {item['msg']} (got {text[:60]})")
    return True


def _scalar(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _nothing(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(item is None for item in value))


def list_of(kind: type[M], path: Path, problems: list[str]) -> list[M] | None:
    """Read a JSON array of models, leaving out what does not fit.

    Returns None where the file is not there (not configured) or cannot be read (a problem says
    so). The same complaint about many items is one problem with a count.
    """
    if not path.is_file():
        return None
    data = load_json(path, problems)
    if data is None:
        return None
    if not isinstance(data, list):
        problems.append(f"{path.name}: expected an array, got {type(data).__name__}")
        return None
    items: list[M] = []
    complaints: Counter[str] = Counter()
    for entry in data:
        own: list[str] = []
        item = model_from(kind, entry, path.name, own)
        complaints.update(own)
        if item is not None:
            items.append(item)
    for text, count in complaints.items():
        problems.append(text if count == 1 else f"{text}, {count} times")
    return items
