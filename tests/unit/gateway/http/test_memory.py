"""Memory of large answers is kept for the next ones."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_CHILD = """
import resource, sys
from gateway.http.memory import keep_memory
if sys.argv[1] == "kept":
    assert keep_memory()
def use():
    for size in (300_000, 500_000, 1_000_000):
        blocks = [bytearray(size) for _ in range(4)]
        del blocks
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    use()
sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before))
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", _CHILD, how], capture_output=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_of_large_bodies_is_not_asked_for_again() -> None:
    assert faults("kept") < 200 < faults("as it is")
