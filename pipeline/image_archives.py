"""Image files as they are published, read and written: HDF5 of PCAM, npz of ImageNet32.

    patches   HDF5 with the dataset x, (member, 96, 96, 3) of bytes; read by slices, with h5py of
              the extra `images`. A gzipped one is unpacked into the cache first, once

    arrays    npz, a zip of npy arrays: "data" (member, 3072) of bytes, colour by colour, row by
              row; "labels" are not read. Alone, or several of them in a zip, which are unpacked
              into the cache. Data that are not compressed are mapped into memory

The pickled version of ImageNet32 is refused, whatever it is called: unpickling runs what a file
says. So are datasets that point out of their file, and arrays of objects.

    Veeling et al., Rotation equivariant CNNs for digital pathology (2018), arXiv:1806.03962
    Chrabaszcz, Loshchilov, Hutter, A downsampled variant of ImageNet (2017), arXiv:1707.08819
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pushforward.downloads import extra, unpacked
from pushforward.image_files import (
    DAMAGED_ZIP,
    GZIP,
    MOST,
    Bounded,
    Bytes,
    File,
    Pages,
    checked,
    name_of,
    opened,
)

PATCH = (96, 96, 3)
ROW = 3072
CHUNK = 1 << 28  # bytes that one chunk of a dataset may unpack to
IN_MEMORY = 1 << 29  # bytes of a npz file that is compressed: ImageNet32's largest has 3.9e8
LARGEST = 1 << 33  # bytes that a file of either set may unpack to: PCAM's largest has 7.2e9
NPZ = r"(train_data_batch_\d+|val_data)\.npz"
SHAPE = rf"\(([1-9]\d{{0,8}})L?, {ROW}L?\)"
HEADER = rf"\{{'descr': '\|u1', 'fortran_order': False, 'shape': {SHAPE}, \}}\s*"
TAKE = "take Imagenet32_train_npz.zip or Imagenet32_val_npz.zip, the npz version"


@dataclass(frozen=True)
class Patches:
    """The images of an HDF5 file, opened when some of them are asked for.

    >>> stream = io.BytesIO()
    >>> write_patches(stream, np.zeros((2, 3, 96, 96), np.uint8))
    >>> Patches(stream)[np.array([1, 0, 1])].shape
    (3, 3, 96, 96)
    """

    file: File

    @property
    def shape(self) -> tuple[int, ...]:
        """(member, 3, 96, 96)."""
        with _dataset(self.file) as data:
            return len(data), 3, *PATCH[:2]

    def __getitem__(self, numbers: Any, /) -> Bytes:
        asked, back = np.unique(np.asarray(numbers), return_inverse=True)
        with _dataset(self.file) as data:
            found = np.empty((len(asked), *PATCH), np.uint8)
            for first, last in _runs(asked):
                data.read_direct(
                    found, np.s_[asked[first] : asked[last - 1] + 1], np.s_[first:last]
                )
        return np.ascontiguousarray(np.moveaxis(found[back], 3, 1))


def _runs(numbers: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Where numbers that follow each other begin and end: a slice each, read at once."""
    ends = np.flatnonzero(np.diff(numbers) != 1) + 1
    edges = [0, *ends.tolist(), len(numbers)]
    return pairwise(edges) if len(numbers) else iter(())


@contextmanager
def _dataset(file: File) -> Iterator[Any]:
    """The dataset x of an HDF5 file, if it is one of patches, and in that file."""
    h5py: Any = extra("h5py")
    name = name_of(file)
    try:
        with h5py.File(file, "r") as root:
            yield _checked(root, name)
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(
            f"expected a whole HDF5 file, got {name} ({str(error).splitlines()[0]}); take "
            "camelyonpatch_level_2_split_*_x.h5"
        ) from None


def _checked(root: Any, name: str) -> Any:
    """The dataset x of an open file, unless it lies elsewhere or is of another shape."""
    h5py: Any = extra("h5py")
    inside = isinstance(root.get("x", getlink=True), h5py.HardLink)
    data: Any = root["x"] if inside else None
    if not isinstance(data, h5py.Dataset) or data.is_virtual or data.external:
        raise ValueError(
            f"expected a dataset x within {name}, got none; take "
            "camelyonpatch_level_2_split_*_x.h5"
        )
    chunk = int(np.prod(data.chunks or (1,)))
    if data.shape[1:] != PATCH or data.dtype != np.uint8 or chunk > CHUNK:
        raise ValueError(
            f"expected x (member, 96, 96, 3) of uint8 in {name}, got {data.shape} of "
            f"{data.dtype} in chunks {data.chunks}; take camelyonpatch_level_2_split_*_x.h5"
        )
    return data


def open_patches(file: File) -> list[Pages]:
    """The images of an HDF5 file of PCAM, gzipped or not.

    Raises ValueError for what is none, LookupError where h5py is not installed.

    >>> stream = io.BytesIO()
    >>> write_patches(stream, np.zeros((2, 3, 96, 96), np.uint8))
    >>> open_patches(stream)[0].shape
    (2, 3, 96, 96)
    """
    with opened(file) as stream:
        packed = stream.read(2) == GZIP
        stream.seek(0)
        if packed and isinstance(file, Path):
            file = unpacked(gzip.GzipFile(fileobj=stream), file, "all", LARGEST)
    pages = Patches(file)
    _ = pages.shape  # what is no such file is refused now
    return [pages]


def write_patches(file: File, images: Bytes) -> None:
    """Images (member, 3, 96, 96) as an HDF5 file of PCAM.

    >>> write_patches(io.BytesIO(), np.zeros((2, 3, 28, 28), np.uint8))
    Traceback (most recent call last):
    ValueError: expected images (member, 3, 96, 96) of uint8, got (2, 3, 28, 28) of uint8; ...
    """
    checked(images, (3, *PATCH[:2]))
    with extra("h5py").File(file, "w") as root:
        root.create_dataset("x", data=np.moveaxis(images, 1, 3), chunks=(1, *PATCH))


def open_arrays(file: File) -> list[Pages]:
    """The images (member, 3, 32, 32) of a npz file of ImageNet32, or of each of those in a zip.

    Raises ValueError for what is neither, and for the pickled version.

    >>> stream = io.BytesIO()
    >>> write_arrays(stream, np.zeros((2, 3, 32, 32), np.uint8))
    >>> open_arrays(stream)[0].shape
    (2, 3, 32, 32)
    """
    name = name_of(file)
    with opened(file) as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                entries = {info.filename.rsplit("/", 1)[-1]: info for info in archive.infolist()}
                if "data.npy" in entries:
                    return [_data(archive, entries["data.npy"], file)]
                wanted = [base for base in entries if re.fullmatch(NPZ, base)]
                if not wanted:
                    raise ValueError(f"expected npz files in {name}, got {_some(entries)}; {TAKE}")
                wanted.sort(key=lambda base: (len(base), base))
                return [_inner(archive, entries[base], file) for base in wanted]
        except DAMAGED_ZIP as error:
            raise ValueError(f"expected a zip of arrays, got {name} ({error}); {TAKE}") from None


def _some(names: Any) -> str:
    return ", ".join(sorted(names)[:3]) or "nothing"


def _inner(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: File) -> Pages:
    """The images of a npz file in a zip: unpacked into the cache, or in memory as its zip is."""
    with archive.open(info) as stream:
        if isinstance(file, Path):
            return open_arrays(unpacked(stream, file, info.filename, LARGEST))[0]
        return open_arrays(io.BytesIO(Bounded(stream, MOST, info.filename).read()))[0]


def _data(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: File) -> Bytes:
    """The array data of a npz file, mapped where it lies as it is."""
    name = name_of(file)
    with archive.open(info) as stream:
        rows = _header(stream, name)
        start, size = stream.tell(), rows * ROW
        mapped = isinstance(file, Path) and info.compress_type == zipfile.ZIP_STORED
        most = LARGEST if mapped else IN_MEMORY
        if info.file_size != start + size or size > most:
            raise ValueError(
                f"expected {start + size} bytes of data in {name}, {most} at most, got "
                f"{info.file_size}; {TAKE}"
            )
        if isinstance(file, Path) and mapped:
            first = _offset(file, info) + start
            if first + size > file.stat().st_size:
                raise ValueError(f"expected a whole file {name}, got a part of it; {TAKE}")
            pixels: Bytes = np.memmap(file, np.uint8, "r", first, (size,))
        else:
            pixels = np.frombuffer(bytearray(stream.read(size)), np.uint8)
    return pixels.reshape(-1, 3, 32, 32)


def _header(stream: Any, name: str) -> int:
    """How many rows of bytes a npy header says there are; any other header is refused.

    Nothing of it is evaluated, which numpy's own reader does, with care.
    """
    start = stream.read(8)
    width = {b"\x93NUMPY\1\0": 2, b"\x93NUMPY\2\0": 4}.get(start, 0)
    length = int.from_bytes(stream.read(width), "little")
    text = stream.read(min(length, 10_000)).decode("latin-1")
    found = re.fullmatch(HEADER, text)
    if not found:
        raise ValueError(
            f"expected data (member, {ROW}) of uint8 in {name}, got {text[:70].strip()!r}; {TAKE}"
        )
    return int(found[1])


def _offset(path: Path, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a zip's member begin: behind a header of 30 bytes, a name and extras."""
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        lengths = np.frombuffer(file.read(4), "<u2")
    return info.header_offset + 30 + int(lengths.sum())


def write_arrays(file: BinaryIO, images: Bytes, *, compressed: bool = False) -> None:
    """Images (member, 3, 32, 32) as a npz file of ImageNet32, all with the label 1.

    >>> write_arrays(io.BytesIO(), np.zeros((2, 3, 28, 28), np.uint8))
    Traceback (most recent call last):
    ValueError: expected images (member, 3, 32, 32) of uint8, got (2, 3, 28, 28) of uint8; ...
    """
    checked(images, (3, 32, 32))
    write = np.savez_compressed if compressed else np.savez
    write(file, data=images.reshape(len(images), -1), labels=np.ones(len(images), np.int64))
