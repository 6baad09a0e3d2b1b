"""The files of an archive, wherever it lies: the one door to `disk` and to `objects`.

Every file is whole or absent. Which of the two rooms does the work is decided by the place: a
local path, or a URL.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pushforward import disk, objects
from pushforward.disk import PARTIAL, Stat
from pushforward.places import Place

__all__ = ["PARTIAL", "Stat"]


class Damaged(OSError):
    """A file that is there and holds something else than it should."""


def write_bytes(path: Place, data: bytes) -> None:
    """Stores a file atomically and durably, making its folders when needed."""
    _room(path).write_bytes(path, data)


def exists(path: Place) -> bool:
    """Whether there is a file or a folder; OSError where nobody can say."""
    return _room(path).exists(path)


def read_bytes(path: Place) -> bytes:
    """The bytes of a file; FileNotFoundError where there is none."""
    return _room(path).read_bytes(path)


def read_parts(path: Place, places: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """Some bytes of a file, by (offset, size); fewer where the file is shorter."""
    return _room(path).read_parts(path, places)


def read_tail(path: Place, size: int) -> bytes:
    """The last bytes of a file; fewer where the file is shorter."""
    return _room(path).read_tail(path, size)


def digest(path: Place) -> str:
    """The SHA-256 of a file, in hex."""
    return _room(path).digest(path)


def listing(folder: Place) -> dict[str, Stat]:
    """The files below a folder, by their names from there; none where there is no folder."""
    return _room(folder).listing(folder)


def write_json(path: Place, values: Any) -> None:
    """Stores JSON values, sorted and indented, so that two versions can be compared."""
    text = json.dumps(values, indent=1, sort_keys=True, allow_nan=True)
    write_bytes(path, (text + "\n").encode())


def read_json(path: Place) -> Any:
    """The JSON values in a file; `Damaged`, with what to do, when it holds something else."""
    try:
        return json.loads(read_bytes(path).decode())
    except ValueError as error:  # of JSON, or of UTF-8
        raise Damaged(
            f"expected JSON in {path}, got a damaged file ({error}); remove the folder "
            f"{path.parent} and run its verb again"
        ) from None


def append_line(path: Place, text: str) -> None:
    """Adds one line to a file; a line torn by a kill is cut off first."""
    _room(path).append_line(path, text)


def read_lines(path: Place) -> list[str]:
    """The whole lines of a file; none when it is not there."""
    try:
        text = read_bytes(path).decode()
    except FileNotFoundError:
        return []
    return text[: text.rfind("\n") + 1].splitlines()


def remove(path: Place) -> None:
    """Removes a file, if it is there."""
    _room(path).remove(path)


def discard(path: Place, first: str = "") -> None:
    """Removes a file or a folder whole; where that cannot be, its file `first` goes first."""
    _room(path).discard(path, first)


def link(source: Place, path: Place) -> None:
    """Makes a file that is there appear at `path`, too: linked where that can be, else copied."""
    _room(path).link(source, path)


def make_folder(path: Place, fill: Callable[[Path], object], last: str) -> None:
    """Makes a folder that appears whole, filled by `fill`; one that is there stays.

    Where nothing can be renamed, it is there when its file `last` is.
    """
    _room(path).make_folder(path, fill, last)


def sweep(folder: Place, age: float = 0.0) -> int:
    """Removes what killed writers left more than `age` seconds ago; says how many."""
    return _room(folder).sweep(folder, age)


def now(folder: Place) -> float:
    """The time as a folder's file system has it; of an object store this machine's."""
    return _room(folder).now(folder)


def _room(path: Place) -> Any:
    return disk if isinstance(path, Path) else objects
