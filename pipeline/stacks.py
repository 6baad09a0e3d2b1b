"""Images of a set by their numbers: whichever files they are in, found, opened and kept open.

A set's files follow each other, and so do the numbers of their images. What was opened is
remembered by each process, until the file changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.downloads import find, folders, stamp
from pushforward.image_archives import open_arrays, open_patches
from pushforward.image_files import File, Pages, read_cifar, read_idx
from pushforward.interferogram_files import open_interferograms
from pushforward.published import COLLECTIONS, Published

OPENERS: dict[str, Callable[[File], list[Pages]]] = {
    "mnist": lambda file: [read_idx(file)],
    "cifar10": lambda file: [read_cifar(file)],
    "pcam": open_patches,
    "imagenet32": open_arrays,
    "volcano": open_interferograms,
}


@dataclass(frozen=True)
class Stack:
    """The images of a set's `split`, or of `files` of its format, in a folder or the cache."""

    kind: str
    split: str = "all"
    files: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    location: str | None = None

    def paths(self) -> list[tuple[Path, str]]:
        """The files, each with the split to take of it.

        Raises what `downloads.find` does.
        """
        if self.files:
            sums = self.sha256 or (None,) * len(self.files)
            found = zip(self.files, sums, strict=True)
            return [(find(name, self.location, sha256=known), "all") for name, known in found]
        if self.kind == "volcano":
            return [(self._folder(), "all")]
        about = COLLECTIONS[self.kind]
        splits = ("train", "test") if self.split == "all" else (self.split,)
        return [
            (self._find(one, about.hint), split) for split in splits for one in about.files[split]
        ]

    def _find(self, one: Published, hint: str) -> Path:
        return find(
            one.name, self.location, one.url, one.checksum, contents=one.contents, hint=hint
        )

    def _folder(self) -> Path:
        """The first folder with interferograms in it."""
        where = folders(self.location)
        for folder in where:
            if next(folder.rglob("*.int"), None):
                return folder
        raise FileNotFoundError(
            f"expected .int files in {' or '.join(map(str, where)) or 'a folder'}, got none; "
            f"{COLLECTIONS['volcano'].hint}give simulation.location=FOLDER"
        )

    def __len__(self) -> int:
        """How many images the files hold; raises what `paths` does."""
        return sum(each.shape[0] for each in self._pages())

    def take(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """The images of these numbers (member, channel, row, column), of the format's type.

        Raises ValueError for numbers beyond the last one, and for files of another format.
        """
        return taken(self._pages(), numbers, self.kind)

    def _pages(self) -> list[Pages]:
        return [each for path, split in self.paths() for each in _opened(self.kind, path, split)]


def taken(pages: Sequence[Pages], numbers: NDArray[np.int64], kind: str) -> NDArray[Any]:
    """The images of these numbers from files that follow each other.

    >>> files = [np.zeros((2, 1, 28, 28), np.uint8), np.ones((3, 1, 28, 28), np.uint8)]
    >>> taken(files, np.array([4, 0]), "mnist").max((1, 2, 3))
    array([1, 0], dtype=uint8)
    """
    shape = COLLECTIONS[kind].shape
    firsts = np.cumsum([0, *(each.shape[0] for each in pages)])
    for each in pages:
        if tuple(each.shape[1:]) != shape:
            raise ValueError(
                f"expected images {shape} of {kind}, got {tuple(each.shape[1:])}; take files of "
                "that set"
            )
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < firsts[-1]:
        raise ValueError(
            f"expected members of 0 to {firsts[-1] - 1} of {kind}, got {numbers.min()} to "
            f"{numbers.max()}; ask for fewer"
        )
    out = np.empty((len(numbers), *shape), np.complex64 if kind == "volcano" else np.uint8)
    for each, first, last in zip(pages, firsts[:-1], firsts[1:], strict=True):
        here = np.flatnonzero((first <= numbers) & (numbers < last))
        if len(here):
            out[here] = each[numbers[here] - first]
    return out


def _opened(kind: str, path: Path, split: str) -> list[Pages]:
    if path.is_dir():
        return OPENERS[kind](path)
    return _kept(kind, stamp(path), split)


@lru_cache(maxsize=8)
def _kept(kind: str, about: tuple[str, int, int], split: str) -> list[Pages]:
    path = Path(about[0])
    return [read_cifar(path, split)] if kind == "cifar10" else OPENERS[kind](path)
