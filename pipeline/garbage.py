"""What an archive holds that nobody will ask for: remains of killed writers, and unnamed results.

    remains    `.partial` files and folders that no living writer touches, and folders that are
               called like a result but hold no spec
    unnamed    results that are in no lineage of the studies to keep, where some are given; those
               with more or fewer members are kept, too: they grew, or will

What was touched lately may have a writer and stays; a result that is not complete is given a day.
All of it is removed by renaming it first: it is there or not, whenever a kill comes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pushforward import files
from pushforward.archive import ORPHAN_AGE, Archive
from pushforward.growth import relatives
from pushforward.lineage import Spec
from pushforward.places import Place
from pushforward.shelf import MANIFEST, SPEC, named

UNFINISHED = 86400.0  # seconds without a write that a result which is not complete is given


@dataclass(frozen=True)
class Garbage:
    """Something to remove: where it lies, why, and its bytes on the disk."""

    path: Place
    reason: str
    size: int

    def remove(self) -> None:
        """Removes it, whole or not at all."""
        files.discard(self.path, first=MANIFEST)


def garbage(
    archive: Archive, keep: Sequence[Spec] = (), *, age: float = ORPHAN_AGE
) -> list[Garbage]:
    """What nobody will ask for; results only where there are specs to `keep`, with their upstream.

    What was touched less than `age` seconds ago may have a writer, and stays.

    >>> import tempfile
    >>> garbage(Archive(tempfile.mkdtemp()))
    []
    """
    now, left = files.now(archive.root), "left by a writer that was killed"
    found = [_of(path, left) for path in _remains(archive.root, now - age)]
    kept: set[str] = set()
    for one in (one for spec in keep for one in _lineage(spec)):
        kept |= {one.name, *relatives(one, archive)}
    for folder in sorted(archive.root.glob("*-*")):
        if not named(folder.name) or not folder.is_dir():
            continue
        idle, spec = now - _touched(folder), files.exists(folder / SPEC)
        patience = age if archive.sealed(folder.name) or not spec else max(age, UNFINISHED)
        if idle < patience or folder.name in kept:
            continue
        if not spec:
            found.append(_of(folder, "holds no spec"))
        elif keep:
            found.append(_of(folder, "in none of these studies"))
    return found


def _lineage(spec: Spec | None) -> Iterator[Spec]:
    while spec is not None:
        yield spec
        spec = spec.upstream


def _remains(root: Place, since: float) -> Iterator[Path]:
    """The outermost `.partial` paths that nobody touched since; none but on a disk."""
    if not isinstance(root, Path):
        return
    for place, folders, names in os.walk(root):
        inner = [name for name in folders if name.endswith(files.PARTIAL)]
        folders[:] = [name for name in folders if name not in inner]
        for name in [*inner, *(n for n in names if n.endswith(files.PARTIAL))]:
            path = Path(place) / name
            if _touched(path) <= since:
                yield path


def _touched(path: Place) -> float:
    """When it, or the newest thing in it, was last written; never, where it is gone meanwhile."""
    times = [one.time for one in files.listing(path).values()]
    if isinstance(path, Path):
        for one in _parts(path):  # folders, too
            with suppress(FileNotFoundError):
                times.append(one.lstat().st_mtime)
    return max(times, default=0.0)


def _parts(path: Path) -> Iterator[Path]:
    """It and all that is in it; of a link, the link alone."""
    yield path
    if not path.is_symlink():
        yield from path.rglob("*")


def _of(path: Place, reason: str) -> Garbage:
    if isinstance(path, Path):  # a linked file is freed with its last name
        stats = [one.lstat() for one in _parts(path) if one.is_file()]
        return Garbage(path, reason, sum(one.st_size for one in stats if one.st_nlink == 1))
    return Garbage(path, reason, sum(one.size for one in files.listing(path).values()))
