"""Interferograms as they are published with GANO, read and written: `.int` files.

A file is one complex image of 128 x 128 points, row by row: pairs of float32, little-endian, the
real and the imaginary part. Many of them lie in a folder or in a zip; they are numbered by the
order of their names.

    Rahman et al., Generative adversarial neural operators (2022), arXiv:2205.03017
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pushforward.image_files import DAMAGED_ZIP, File, Pages, checked, name_of

SIDE = 128
SIZE = SIDE * SIDE * 8

Complex = NDArray[np.complex64]


@dataclass(frozen=True)
class Interferograms:
    """Complex images by their numbers, each read from its own file when it is asked for."""

    names: Sequence[str]
    read: Callable[[Sequence[str]], Iterator[bytes]]

    @property
    def shape(self) -> tuple[int, ...]:
        """(member, 1, 128, 128)."""
        return len(self.names), 1, SIDE, SIDE

    def __getitem__(self, numbers: Any, /) -> Complex:
        out = np.empty((len(numbers), 1, SIDE, SIDE), np.complex64)
        names = [self.names[int(number)] for number in numbers]
        for image, name, content in zip(out, names, self.read(names), strict=True):
            image[0] = one(content, name)
        return out


def one(content: bytes, name: str) -> Complex:
    """The image that the bytes of a file are.

    Raises ValueError for bytes of another number, and for values that are not finite.

    >>> one(bytes(8), "a.int")
    Traceback (most recent call last):
    ValueError: expected 131072 bytes (128 x 128 pairs of float32) in a.int, got 8; take ...
    """
    if len(content) != SIZE:
        raise ValueError(
            f"expected {SIZE} bytes ({SIDE} x {SIDE} pairs of float32) in {name}, got "
            f"{'more' if len(content) > SIZE else len(content)}; take the .int files of GANO"
        )
    image = np.frombuffer(content, "<c8").reshape(SIDE, SIDE)
    if not np.isfinite(image).all():
        raise ValueError(
            f"expected finite values in {name}, got others; take the .int files of GANO"
        )
    return image


def open_interferograms(file: File) -> list[Pages]:
    """The interferograms of a folder, of those within it, or of a zip.

    Raises ValueError where there are none.

    >>> import io
    >>> stream = io.BytesIO()
    >>> write_interferograms(stream, np.ones((2, 1, 128, 128), np.complex64))
    >>> open_interferograms(stream)[0].shape
    (2, 1, 128, 128)
    """
    name = name_of(file)
    if isinstance(file, Path) and file.is_dir():
        found = sorted(
            path.relative_to(file).as_posix() for path in file.rglob("*.int") if path.is_file()
        )
        names, read = found, partial(_files, file)
    else:
        try:
            with zipfile.ZipFile(file) as archive:
                names = sorted(one for one in archive.namelist() if one.endswith(".int"))
        except DAMAGED_ZIP as error:
            raise ValueError(
                f"expected a folder or a zip of .int files, got {name} ({error}); take those of "
                "GANO"
            ) from None
        read = partial(_members, file)
    names = [each for each in names if not each.rsplit("/", 1)[-1].startswith(".")]
    if not names:
        raise ValueError(f"expected .int files in {name}, got none; take those of GANO")
    return [Interferograms(tuple(names), read)]


def _files(folder: Path, names: Sequence[str]) -> Iterator[bytes]:
    """What files hold, a byte more than they should at most."""
    for name in names:
        with (folder / name).open("rb") as stream:
            yield stream.read(SIZE + 1)


def _members(file: File, names: Sequence[str]) -> Iterator[bytes]:
    """What a zip holds under some names; nothing is unpacked to disk."""
    try:
        with zipfile.ZipFile(file) as archive:
            for name in names:
                with archive.open(name) as stream:
                    yield stream.read(SIZE + 1)
    except DAMAGED_ZIP as error:
        raise ValueError(
            f"expected whole .int files in {name_of(file)}, got one that is damaged ({error}); "
            "take the zip again"
        ) from None


def write_interferograms(file: Path | BinaryIO, images: Complex) -> None:
    """Complex images (member, 1, 128, 128) as files 00000.int, ... in a folder, or in a zip.

    >>> import io
    >>> write_interferograms(io.BytesIO(), np.ones((2, 1, 8, 8), np.complex64))
    Traceback (most recent call last):
    ValueError: expected images (member, 1, row, column) of complex64, got (2, 1, 8, 8) of ...
    """
    checked(images, (1, SIDE, SIDE), np.complex64)
    contents = {f"{k:05}.int": np.asarray(z, "<c8").tobytes() for k, z in enumerate(images)}
    if isinstance(file, Path) and file.is_dir():
        for name, content in contents.items():
            (file / name).write_bytes(content)
        return
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
