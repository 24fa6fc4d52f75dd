"""Pick named columns of files as text, for kinds whose columns DESIGN 5.1 fixes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triagebook.sources.opening import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from triagebook.sources.duck import Files
    from triagebook.sources.files import FileSettings


def picked(
    files: Files, settings: FileSettings, wanted: Mapping[str, str], required: tuple[str, ...]
) -> list[str]:
    """Return the SQL of each wanted column under the contract's name.

    Parameters
    ----------
    files : Files
        Opened files.
    settings : FileSettings
        Where a key such as `labels_column` was written by hand, that column must be there.
    wanted : mapping of str to str
        Settings key (`labels_column`) to the contract's name (`labels`).
    required : tuple of str
        Contract names that must be there.

    Raises
    ------
    SourceDataError
        A column that must be there is not; names the nearest.
    """
    select = []
    for key, name in wanted.items():
        column = getattr(settings, key)
        if column in files.columns:
            select.append(f"{_plain(files, column)} AS {quoted(name)}")
        elif name in required or key in settings.model_fields_set:
            files.column(column, needed_for=name)
        else:
            select.append(f"NULL AS {quoted(name)}")
    return select


def _plain(files: Files, column: str) -> str:
    # A struct, map or list becomes JSON text here: Arrow would give every key to every row.
    kind = files.columns[column]
    nested = kind.startswith(("STRUCT", "MAP", "UNION")) or kind.endswith("[]")
    if nested or kind == "JSON":
        return f"CAST(to_json({quoted(column)}) AS VARCHAR)"
    return quoted(column)
