"""What a release changed, in a few lines for people.

What belongs here: choosing and wording what moved, from the release's own ``diff.json``. What does not:
comparing releases (``release_diff``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestration.release_diff import verdicts_as_lines

SHOWN = 5
MEASURES = {
    "face_value_share": "face value",
    "processed_in_share": "processed in",
    "nir_pct": "net import reliance",
    "top_supplier_import_share": "largest supplier's share of imports",
}


def digest_lines(folder: Path) -> list[str]:
    """Return what moved in a release, most telling first; one line when its diff cannot be read."""
    try:
        diff = json.loads((folder / "diff.json").read_text())
        return [*_rows(diff), *_vintages(diff), *_claims(diff), *_moved(diff)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [f"what moved cannot be told: {folder / 'diff.json'} ({type(error).__name__})"]


def _rows(diff: dict[str, Any]) -> list[str]:
    marts = diff["marts"]
    if all(change["added"] is None for change in marts.values()):
        return [f"the first release: {len(marts)} tables, {sum(change['rows'] for change in marts.values()):,} rows"]
    changed = {name: change for name, change in marts.items() if change["added"] != 0 or change["removed"] != 0}
    added, removed = (sum(change[key] or 0 for change in changed.values()) for key in ("added", "removed"))
    remade = sorted(name for name, change in changed.items() if change["added"] is None)
    note = f"; new or with other columns: {', '.join(remade)}" if remade else ""
    return [f"{len(changed)} of {len(marts)} tables changed: {added:,} rows added, {removed:,} removed{note}"]


def _vintages(diff: dict[str, Any]) -> list[str]:
    new = [f"{item['source']} {item['vintage']}" for item in diff.get("vintages", [])]
    return [f"new editions: {', '.join(new)}"] if new else []


def _claims(diff: dict[str, Any]) -> list[str]:
    turned = [item for item in diff["verdicts"] if item["was"] != item["is"]]
    lines = [f"claim {line}" for line in verdicts_as_lines(turned[:SHOWN])]
    return lines + ([f"... and {len(turned) - SHOWN} more claims with another verdict"] if len(turned) > SHOWN else [])


def _moved(diff: dict[str, Any]) -> list[str]:
    lines = []
    for item in [*diff.get("exposures", [])[:SHOWN], *diff["moved"][:SHOWN]]:
        was, now = item["was_pct"], item["is_pct"]
        country = f" {item['country']}" if item.get("country") else ""
        lines.append(
            f"{item['importer']} {item['material']} {item['stage']} {item['year']}{country}, "
            f"{MEASURES.get(item['measure'], item['measure'])}: {was:.1f} -> {now:.1f} % ({now - was:+.1f} points)"
        )
    return lines
