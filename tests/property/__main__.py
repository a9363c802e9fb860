"""``python -m tests.property``: compare pairs of data sets that must look the same (SPEC A10), and print how many of which kind.

``MESHGATE_WORLDS=200`` compares more; ``MESHGATE_TEST_SEED=fresh`` draws others.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main(["-q", "-s", str(Path(__file__).parent / "test_non_interference.py")]))
