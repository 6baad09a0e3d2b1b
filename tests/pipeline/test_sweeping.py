"""Living writers are not swept away by a clock that is ahead, and never leave half of a folder."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pushforward import disk
from pushforward.archive import ORPHAN_AGE


def age(path: Path, seconds: float) -> None:
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


@pytest.mark.parametrize("ahead", [-86400.0, 0.0, 86400.0])
def test_what_is_old_is_told_by_the_file_system_s_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + ahead)
    young, old = (disk.partial(tmp_path / name) for name in ("young", "old"))
    for path in (young, old):
        path.write_bytes(b"torn")
    age(old, 2 * ORPHAN_AGE)
    assert disk.sweep(tmp_path, ORPHAN_AGE) == 1
    assert [*tmp_path.iterdir()] == [young]


def test_nothing_is_old_where_nothing_can_be_made(tmp_path: Path) -> None:
    assert disk.now(tmp_path / "absent") == 0.0
    assert abs(disk.now(tmp_path) - time.time()) < 60
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_was_swept_while_it_was_made_is_not_half_there(tmp_path: Path) -> None:
    path = tmp_path / "data"

    def fill(place: Path, swept: bool) -> None:
        for name in ("first", "second"):
            place.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(b"x")
            if swept and name == "first":
                assert disk.sweep(tmp_path) == 1

    with pytest.raises(OSError, match="swept away while it was made"):
        disk.make_folder(path, lambda place: fill(place, swept=True))
    assert [*tmp_path.iterdir()] == []
    disk.make_folder(path, lambda place: fill(place, swept=False))
    assert {one.name for one in path.iterdir()} == {"first", "second"}
    assert [*tmp_path.iterdir()] == [path]
