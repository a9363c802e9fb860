"""Memory that one answer used stays with the process for the next one, within bounds.

Left alone, glibc gives what a page or an answer of some hundred kilobytes used back to the system at once, and has every page of it
cleared and handed out anew for the next one: a tenth of the time of an answer of 1,000 rows. Elsewhere than with glibc this does nothing.
"""

from __future__ import annotations

import ctypes

__all__ = ["KEPT_MAX_BYTES", "keep_memory"]

KEPT_MAX_BYTES = 16 * 1024 * 1024
"""What is free at the end of the heap and not given back; larger blocks than `_BLOCK_MAX_BYTES` are always given back."""

_BLOCK_MAX_BYTES = 4 * 1024 * 1024
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_memory() -> bool:
    """Keep what is freed, up to `KEPT_MAX_BYTES`; say whether the allocator can be told."""
    try:
        option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(option(_M_MMAP_THRESHOLD, _BLOCK_MAX_BYTES)) and bool(option(_M_TRIM_THRESHOLD, KEPT_MAX_BYTES))
