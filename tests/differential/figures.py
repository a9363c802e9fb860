"""How many cases the differential suites compared, and of what: counted as they run, for ``python -m tests.differential``."""

from __future__ import annotations

import atexit
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["FOLDER", "note", "summed"]

FOLDER = "MESHGATE_FIGURES"
"""Environment variable: where processes leave what they counted."""

_COUNTED: Counter[str] = Counter()
_FEATURES = {
    "lists": r"\b(nodes|edges)\b",
    "look-ups by key": r"ByKey\b",
    "partners": r"\bto[A-Z]\w*\d\b",
    "lists of a row": r"\bback[A-Z]\w*\d\b",
    "conditions": r"\bwhere:",
    "conditions on partners": r"where: \{[^)]*\b(to[A-Z]\w*\d|some|none)\b",
    "orders": r"\borderBy:",
    "since": r"\bsince:",
    "pages": r"\bafter:",
    "totalCount": r"\btotalCount\b",
    "aggregate": r"\baggregate\b",
    "groups": r"\bgroups\(",
    "groups by partners' columns": r"\bpath: \[",
    "totals of partners' columns": r"\b(countDistinct|sum|avg|min|max) \{[^}]*\b(to|back)[A-Z]\w*\d \{",
    "having": r"\bhaving:",
    "time zones": r"\btimeZone:",
    "fragments": r"\.\.\.",
    "conditional parts": r"@(skip|include)",
    "variables": r"\$v\d",
}


def note(suite: str, kind: str, text: str = "", *, errors: int = 0, refused: bool = False) -> None:
    """Count one answer compared. ``kind``: of engine, port or form; ``text``: of the operation."""
    _COUNTED.update([f"{suite}", f"{suite}: {kind}", *(f"with {it}" for it in _features(text))])
    if errors:
        _COUNTED["with errors in parts"] += 1
    if refused:
        _COUNTED["refused as a whole"] += 1


def _features(text: str) -> Iterator[str]:
    return (name for name, pattern in _FEATURES.items() if re.search(pattern, text))


def summed(folder: Path) -> Counter[str]:
    """Add up what all processes left."""
    found: Counter[str] = Counter()
    for path in folder.glob("*.json"):
        found.update(json.loads(path.read_text()))
    return found


def _leave() -> None:
    folder: Any = os.environ.get(FOLDER)
    if folder and _COUNTED:
        Path(folder, f"{os.getpid()}.json").write_text(json.dumps(_COUNTED))


atexit.register(_leave)
