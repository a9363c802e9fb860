from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sealed import SealedFile, SealError

KEY = b"k" * 32
WRITER = """
import sys
from pathlib import Path
from gateway.sealed import SealedFile
file = SealedFile(Path(sys.argv[1]), b"k" * 32)
bodies = [letter.encode() * 3_000_000 for letter in sys.argv[2]]
print("ready", flush=True)
while True:
    for body in bodies:
        file.write(body)
"""


def sealed(path: Path, key: bytes = KEY, **bounds: int) -> SealedFile:
    return SealedFile(path, key, **bounds)


def test_what_was_written_is_read_and_only_its_owner_may(tmp_path: Path) -> None:
    place = tmp_path / "made" / "for it" / "file"
    assert sealed(place).read() is None
    for body in (b"first", b"", b"second" * 100_000):
        sealed(place).write(body)
        assert sealed(place).read() == body
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert [it.name for it in place.parent.iterdir()] == ["file"]


def test_a_file_sealed_with_another_secret_is_not_believed(tmp_path: Path) -> None:
    sealed(tmp_path / "file", b"other" * 6).write(b"body")
    with pytest.raises(SealError, match="another secret"):
        sealed(tmp_path / "file").read()


@given(st.integers(0, 200), st.integers(1, 255))
def test_one_changed_byte_anywhere_is_noticed(tmp_path_factory: pytest.TempPathFactory, place: int, change: int) -> None:
    path = tmp_path_factory.mktemp("sealed") / "file"
    sealed(path).write(b"some body " * 20)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= change
    path.write_bytes(content)
    with pytest.raises(SealError):
        sealed(path).read()


def test_a_file_cut_short_or_drawn_out_is_not_believed(tmp_path: Path) -> None:
    sealed(tmp_path / "file").write(b"body")
    content = (tmp_path / "file").read_bytes()
    for changed in (*(content[:length] for length in range(len(content))), content + b"\0", b"", b"\0" * 500):
        (tmp_path / "file").write_bytes(changed)
        with pytest.raises(SealError):
            sealed(tmp_path / "file").read()


def test_links_pipes_and_folders_are_no_files(tmp_path: Path) -> None:
    sealed(tmp_path / "elsewhere").write(b"body")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="symbolic links"):
        sealed(tmp_path / "link").read()
    for name in ("pipe", "folder"):
        with pytest.raises((SealError, OSError)):
            sealed(tmp_path / name).read()
    sealed(tmp_path / "link").write(b"new")
    assert sealed(tmp_path / "link").read() == b"new"
    assert sealed(tmp_path / "elsewhere").read() == b"body"


def test_what_is_too_large_is_neither_written_nor_read(tmp_path: Path) -> None:
    with pytest.raises(SealError, match="too large"):
        sealed(tmp_path / "file", max_bytes=100).write(b"x" * 100)
    assert not (tmp_path / "file").exists()
    sealed(tmp_path / "file").write(b"x" * 100)
    with pytest.raises(SealError, match="too large"):
        sealed(tmp_path / "file", max_bytes=100).read()


def test_what_cannot_be_written_leaves_what_was_there_and_nothing_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed(tmp_path / "file").write(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        sealed(tmp_path / "file").write(b"new")
    assert sealed(tmp_path / "file").read() == b"old"
    assert [it.name for it in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_process_left_half_written_is_removed_in_time(tmp_path: Path) -> None:
    for name, age_s in ((".file.old.new", 7_200), (".file.young.new", 10), (".other.old.new", 7_200)):
        (tmp_path / name).touch()
        at_s = time.time() - age_s
        os.utime(tmp_path / name, (at_s, at_s))
    sealed(tmp_path / "file").write(b"body")
    assert sorted(it.name for it in tmp_path.iterdir()) == [".file.young.new", ".other.old.new", "file"]


def test_whoever_reads_finds_a_whole_file_while_two_write_and_after_they_were_killed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), letters], stdout=subprocess.PIPE, text=True) for letters in ("ab", "cd")
    ]
    seen: set[bytes] = set()
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        deadline_s = time.monotonic() + 60
        while len(seen) < 4 and time.monotonic() < deadline_s:
            body = sealed(path).read()
            if body is not None:
                assert body == body[:1] * 3_000_000
                seen.add(body[:1])
    finally:
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.communicate()
    assert seen == {b"a", b"b", b"c", b"d"}
    body = sealed(path).read()
    assert body is not None
    assert body == body[:1] * 3_000_000
