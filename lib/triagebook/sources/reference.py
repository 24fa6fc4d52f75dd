"""Write the reference of every source's own keys: `python -m triagebook.sources.reference`."""

from __future__ import annotations

from triagebook.sources.base import OwnSettings
from triagebook.sources.http import HttpSettings
from triagebook.sources.kinds import REGISTRIES
from triagebook.sources.metrics._packs import names, pack

_HEAD = """# Sources: every key

What each source takes, beside `source` and `budget` ([configuration](configuration.md)). Keys stand in the pull
(`[[service.metrics]]` and so on), or for several pulls in `[sources.NAME]`. How to use them: [sources](sources.md).

This page is written by `python -m triagebook.sources.reference > docs/source-keys.md`.
"""


def reference() -> str:
    """Return the page as Markdown."""
    out = [_HEAD, "## Sources that ask over HTTP", "", "All of them take these:", ""]
    out += _table(HttpSettings, without=OwnSettings)
    for kind, registry in REGISTRIES.items():
        for name in registry.names():
            plugin = registry.get(name)
            over_http = issubclass(plugin.Settings, HttpSettings)
            shared = ", and those above" if over_http else ""
            first = (plugin.Settings.__doc__ or "").strip().splitlines()[0]
            out += ["", f"## {kind}: `{name}`", "", f"{first} Keys{shared}:", ""]
            out += _table(plugin.Settings, without=HttpSettings if over_http else OwnSettings)
    out += ["", "## Stacks", "", "What `stacks` of the source `prometheus` asks for.", ""]
    for name in names():
        known = pack(name)
        out += [f"- **`{name}`**: {known.title} ([names]({known.source})): "]
        out[-1] += ", ".join(f"`{metric}`" for metric in known.metrics)
    return "\n".join(out) + "\n"


def _table(model: type[OwnSettings], *, without: type[OwnSettings]) -> list[str]:
    rows = ["| key | default | |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        if name in without.model_fields:
            continue
        default = "required" if field.is_required() else ""
        if not field.is_required() and field.default_factory is None and field.default is not None:
            default = f"`{str(field.default).lower() if field.default is False else field.default}`"
        column = f"the column of {name.removesuffix('_column')}" if name.endswith("_column") else ""
        rows.append(f"| `{field.alias or name}` | {default} | {field.description or column} |")
    return rows


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201 - its output is the page
