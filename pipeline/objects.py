"""The files of an archive in an object store: a put is whole or absent, nothing is renamed.

What `disk` does for a local folder, for a place with a URL. An object appears when its put ends,
so nothing partial is ever seen and nothing is swept; a folder is the objects below its name, and
one that must appear whole gets a chosen object last. Requests are tried again by the store's
client, as it is configured.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from upath import UPath

from pushforward.disk import Stat
from pushforward.places import EXTRAS


@contextmanager
def asking(path: UPath, action: str) -> Iterator[None]:
    """Turns what a store's client raises into an OSError of one sentence that names the object.

    >>> with asking(UPath("memory://runs/x"), "store"):
    ...     raise TimeoutError("no answer")
    Traceback (most recent call last):
    OSError: expected to store memory://runs/x, got "no answer"; check the address, the network ...
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, FileNotFoundError) and action == "read":
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OSError(
            f'expected to {action} {path}, got "{reason}"; check the address, the network and the '
            "credentials, and run the same command again: what is stored is kept"
        ) from error


def write_bytes(path: UPath, data: bytes) -> None:
    """Stores an object; its folder is made where the store has folders."""
    with asking(path, "store"):
        try:
            path.fs.pipe_file(path.path, data)
        except FileNotFoundError:
            if path.protocol in EXTRAS:  # a bucket that is not there is a mistake: none is made
                raise
            path.fs.makedirs(path.parent.path, exist_ok=True)
            path.fs.pipe_file(path.path, data)


def read_bytes(path: UPath) -> bytes:
    """The bytes of an object; FileNotFoundError where there is none."""
    with asking(path, "read"):
        return _plain(path.fs.cat_file(path.path))


def read_parts(path: UPath, places: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """Some bytes of an object, by (offset, size), asked for side by side."""
    starts, sizes = zip(*places, strict=True) if places else ((), ())
    ends = [offset + size for offset, size in places]
    with asking(path, "read"):
        found = path.fs.cat_ranges([path.path] * len(sizes), [*starts], ends, on_error="raise")
    yield from found


def read_tail(path: UPath, size: int) -> bytes:
    """The last bytes of an object; fewer where it is shorter."""
    with asking(path, "read"):
        return _plain(path.fs.cat_file(path.path, start=-size))


def exists(path: UPath) -> bool:
    """Whether there is an object, or a folder; OSError where the store does not say.

    Not asked as `is_file`: fsspec takes any refusal for a no.
    """
    with asking(path, "look for"):
        try:
            path.fs.info(path.path)
        except FileNotFoundError:
            return False
    return True


def digest(path: UPath) -> str:
    """The SHA-256 of an object, in hex."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


def listing(folder: UPath) -> dict[str, Stat]:
    """The objects below a folder, by their names from there; none where there is no folder."""
    with asking(folder, "list"):
        found: Any = folder.fs.find(folder.path, detail=True)
    below = PurePosixPath(folder.path)
    return {
        PurePosixPath(name).relative_to(below).as_posix(): Stat(
            int(about.get("size") or 0), _time(about)
        )
        for name, about in found.items()
        if PurePosixPath(name) != below
    }


def append_line(path: UPath, text: str) -> None:
    """Adds one line to an object, which is put again: nothing is appended to one."""
    try:
        before = read_bytes(path)
    except FileNotFoundError:
        before = b""
    whole = before[: before.rfind(b"\n") + 1]
    write_bytes(path, whole + text.rstrip("\n").encode() + b"\n")


def remove(path: UPath) -> None:
    """Removes an object, if it is there."""
    with asking(path, "remove"), suppress(FileNotFoundError):
        path.fs.rm_file(path.path)


def discard(path: UPath, first: str = "") -> None:
    """Removes a folder, its object `first` before all others."""
    if first:
        remove(path / first)
    with asking(path, "remove"), suppress(FileNotFoundError):
        path.fs.rm(path.path, recursive=True)


def link(source: UPath, path: UPath) -> None:
    """Makes an object that is there appear at `path`, too: copied within its store."""
    with asking(path, "store"):
        if path.protocol not in EXTRAS:
            path.fs.makedirs(path.parent.path, exist_ok=True)
        path.fs.cp_file(source.path, path.path)


def make_folder(path: UPath, fill: Callable[[Path], object], last: str) -> None:
    """Makes a folder that is there when its file `last` is: `fill` fills a local one first."""
    if exists(path / last):
        return
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "whole"
        fill(local)
        names = [one.relative_to(local).as_posix() for one in local.rglob("*") if one.is_file()]
        for name in sorted(names, key=lambda name: (name == last, name)):
            write_bytes(path / name, (local / name).read_bytes())


def sweep(folder: UPath, age: float = 0.0) -> int:
    """Nothing is left behind by killed writers: no object is partial."""
    return 0


def now(folder: UPath) -> float:
    """The time that ages are told by: this machine's, for a store's costs a put."""
    return time.time()


def _plain(data: Any) -> bytes:
    return data  # which fsspec may call text


def _time(about: dict[str, Any]) -> float:
    """When an object was written, by whichever name its store calls that."""
    for key in ("LastModified", "last_modified", "mtime", "updated", "created"):
        value = about.get(key)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, (int, float)):
            return float(value)
    return float("inf")  # unknown: never idle
