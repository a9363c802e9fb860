"""When a mirror looks at its origin, and how much it may take: of time, rows, memory and disk."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Bounds"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The settings of one mirror.

    ``refresh_s``: between looks for what changed; ``rewalk_s``: between walks over everything, which find what was deleted.
    ``overlap_s``: how far before the newest known update a look begins, for rows that were late and clocks that differ.
    ``retry_s``: the first pause after a failure, doubled up to ``refresh_s``. ``attempts_max``: tries of one page.
    ``shrink_ratio``: a walk that leaves less than this share of the rows is believed only when the next one says so too.
    """

    refresh_s: float = 60.0
    rewalk_s: float = 6 * 3_600.0
    overlap_s: float = 300.0
    retry_s: float = 1.0
    attempts_max: int = 4
    page_timeout_s: float = 30.0
    page_rows: int = 1_000
    page_max_bytes: int = 32 * 1024 * 1024
    rows_max: int = 50_000_000
    disk_max_bytes: int = 20 * 1024**3
    memory_max: str = "1GB"
    merge_timeout_s: float = 3_600.0
    shrink_ratio: float = 0.5
    shrink_rows_min: int = 100
