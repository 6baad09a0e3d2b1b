"""Image files as they are published, read and written: the formats of MNIST and of CIFAR-10.

    idx      magic 0x00000803 (unsigned bytes, three axes), then the axes' lengths, all big-endian
             words of 32 bits, then the bytes of images, row by row. As it is, or gzipped.

    records  one byte of label, then 3072 of an image: 1024 red ones, row by row, 1024 green, 1024
             blue. As they are, gzipped, or as data_batch_*.bin and test_batch.bin in a tar.gz

Nothing is unpacked to where an archive says: members are streamed, and looked for by the end of
their names. What unpacks to more than a file of its kind can hold is refused while it does.
Uncompressed files are mapped into memory, others are read whole (CIFAR-10 has 184 MB).

    LeCun, Cortes, Burges, The MNIST database, yann.lecun.com/exdb/mnist
    Krizhevsky, Learning multiple layers of features from tiny images (2009)
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

MAGIC = 0x00000803
RECORD = 1 + 3072
MOST = 1 << 28  # bytes that a file of either format may unpack to: CIFAR-10 has 1.84e8
BATCHES = {"train": r"data_batch_\d+\.bin", "test": r"test_batch\.bin"}
GZIP = b"\x1f\x8b"
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError)
DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)  # encrypted ones, too

File = Path | BinaryIO
Bytes = NDArray[np.uint8]


class Pages(Protocol):
    """Images of a file, to be taken by their numbers: an array, or what reads when it is asked."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, numbers: Any, /) -> NDArray[Any]: ...


class Bounded(io.RawIOBase):
    """A stream that refuses, with a ValueError, to give more than so many bytes.

    >>> Bounded(io.BytesIO(b"image"), 5, "a.bin").read()
    b'image'
    >>> Bounded(io.BytesIO(b"images"), 5, "a.bin").read()
    Traceback (most recent call last):
    ValueError: expected at most 5 bytes in a.bin, got more; take the file as it is published
    """

    def __init__(self, stream: Any, most: int, name: str) -> None:
        self.stream, self.most, self.name, self.given = stream, most, name, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        # one byte beyond the bound shows that there are more, and is all that is unpacked of them
        some = self.stream.read(min(len(buffer), self.most + 1 - self.given))
        self.given += len(some)
        if self.given > self.most:
            raise ValueError(
                f"expected at most {self.most} bytes in {self.name}, got more; take the file as "
                "it is published"
            )
        buffer[: len(some)] = some
        return len(some)


def name_of(file: File) -> str:
    """What to call a file in a sentence.

    >>> name_of(Path("folder/a.bin")), name_of(io.BytesIO())
    ('folder/a.bin', 'a stream')
    """
    return str(file) if isinstance(file, Path) else str(getattr(file, "name", "a stream"))


@contextmanager
def opened(file: File) -> Iterator[BinaryIO]:
    """A path's or a stream's bytes, from the start.

    Damage that a decompressor finds within comes out as one ValueError.

    >>> with opened(io.BytesIO(b"image")) as stream:
    ...     stream.read()
    b'image'
    """
    try:
        if isinstance(file, Path):
            with file.open("rb") as stream:
                yield stream
        else:
            file.seek(0)
            yield file
    except DAMAGED as error:
        raise ValueError(
            f"expected a whole file {name_of(file)}, got one that is damaged ({error}); take it "
            "again from where it is published"
        ) from None


def plain(stream: BinaryIO, most: int, name: str) -> io.BufferedReader:
    """The bytes of a stream from its start, unpacked if they are gzipped, `most` of them at most.

    >>> plain(io.BytesIO(gzip.compress(b"image")), 5, "a.bin.gz").read()
    b'image'
    """
    stream.seek(0)
    packed = stream.read(2) == GZIP
    stream.seek(0)
    inner = gzip.GzipFile(fileobj=stream) if packed else stream
    return io.BufferedReader(Bounded(inner, most, name), 1 << 20)


def read_idx(file: File) -> Bytes:
    """The images (member, 1, row, column) of an idx file, gzipped or not.

    Raises ValueError for what is no idx file of images, or is none as a whole.

    >>> stream = io.BytesIO()
    >>> write_idx(stream, np.zeros((2, 1, 28, 28), np.uint8))
    >>> read_idx(stream).shape
    (2, 1, 28, 28)
    """
    name = name_of(file)
    with opened(file) as stream:
        bare = stream.read(4) == MAGIC.to_bytes(4, "big")
        source = plain(stream, MOST, name)
        words = np.frombuffer(source.read(16).ljust(16, b"\0"), ">u4").tolist()
        if words[0] != MAGIC:
            raise ValueError(
                f"expected an idx file of images, which starts with {MAGIC:#010x}, got {name} "
                f"with {words[0]:#010x}; take an images-idx3-ubyte file"
            )
        n, height, width = words[1:]
        size = n * height * width
        if not size or size > MOST:
            raise ValueError(
                f"expected images of 1 to {MOST} bytes in {name}, got {n} of {height} x {width}; "
                "take the file as it is published"
            )
        if bare and isinstance(file, Path) and file.stat().st_size == 16 + size:
            return np.memmap(file, np.uint8, "r", 16, (n, 1, height, width))
        return exactly(source, size, name).reshape(n, 1, height, width)


def exactly(source: BinaryIO, size: int, name: str) -> Bytes:
    """So many bytes that are left, no more and no fewer."""
    pixels = bytearray(source.read(size))
    if len(pixels) != size or source.read(1):
        got = "more" if len(pixels) == size else len(pixels)
        raise ValueError(
            f"expected {size} bytes of images in {name}, as its header says, got {got}; take the "
            "file again from where it is published"
        )
    return np.frombuffer(pixels, np.uint8)


def write_idx(file: BinaryIO, images: Bytes) -> None:
    """Images (member, 1, row, column) as an idx file.

    Raises ValueError for images of more channels, or of another type.

    >>> write_idx(io.BytesIO(), np.zeros((2, 3, 28, 28), np.uint8))
    Traceback (most recent call last):
    ValueError: expected images (member, 1, row, column) of uint8, got (2, 3, 28, 28) of uint8; ...
    """
    checked(images, (1, *images.shape[2:]))
    file.write(np.array([MAGIC, len(images), *images.shape[2:]], ">u4").tobytes())
    file.write(np.ascontiguousarray(images).tobytes())


def read_cifar(file: File, split: str = "all") -> Bytes:
    """The images (member, 3, 32, 32) of records: one file of them, or a tar.gz of several.

    `split` takes the "train" batches, the "test" batch, or "all" of a tar; the records of one
    file, as many as there are, are its images whatever it is called.

    Raises ValueError for what holds no whole records.

    >>> stream = io.BytesIO()
    >>> write_cifar(stream, np.zeros((5, 3, 32, 32), np.uint8))
    >>> read_cifar(stream).shape
    (5, 3, 32, 32)
    """
    name = name_of(file)
    with opened(file) as stream:
        bare = stream.read(2) != GZIP
        source = plain(stream, MOST, name)
        if isinstance(file, Path) and bare and not file.name.endswith(".tar"):
            return records(np.memmap(file, np.uint8, "r") if file.stat().st_size else b"", name)
        if name.endswith((".tar.gz", ".tgz", ".tar")) or source.peek(512)[257:262] == b"ustar":
            parts = _batches(source, name)
            return np.concatenate(_chosen(parts, split, name))
        return records(bytearray(source.read()), name)


def records(content: Any, name: str) -> Bytes:
    """The images (member, 3, 32, 32) of the records that bytes hold."""
    array = content if isinstance(content, np.ndarray) else np.frombuffer(content, np.uint8)
    if not len(array) or len(array) % RECORD:
        raise ValueError(
            f"expected records of {RECORD} bytes (a label and 3 x 32 x 32 pixels) in {name}, got "
            f"{len(array)} bytes; take a .bin file of the binary version of CIFAR-10"
        )
    return array.reshape(-1, RECORD)[:, 1:].reshape(-1, 3, 32, 32)


def _batches(source: BinaryIO, name: str) -> dict[str, Bytes]:
    """The batches in a tar, by the last part of their names, read as they come by."""
    wanted = re.compile("|".join(BATCHES.values()))
    parts = {}
    with tarfile.open(fileobj=source, mode="r|") as tar:
        for entry in tar:
            base = entry.name.rsplit("/", 1)[-1]
            content = tar.extractfile(entry) if entry.isfile() else None
            if content is not None and wanted.fullmatch(base):
                parts[base] = records(bytearray(content.read()), f"{base} of {name}")
    return parts


def _chosen(parts: dict[str, Bytes], split: str, name: str) -> list[Bytes]:
    """The batches of a split, those to train on first."""
    found = []
    for each in BATCHES if split == "all" else (split,):
        some = [base for base in parts if re.fullmatch(BATCHES[each], base)]
        if not some:
            raise ValueError(
                f"expected files like {BATCHES[each]} in {name}, got none; take "
                "cifar-10-binary.tar.gz"
            )
        found += [parts[base] for base in sorted(some, key=lambda b: (len(b), b))]
    return found


def write_cifar(file: BinaryIO, images: Bytes) -> None:
    """Images (member, 3, 32, 32) as records, all with the label 0.

    >>> write_cifar(io.BytesIO(), np.zeros((2, 3, 28, 28), np.uint8))
    Traceback (most recent call last):
    ValueError: expected images (member, 3, 32, 32) of uint8, got (2, 3, 28, 28) of uint8; ...
    """
    checked(images, (3, 32, 32))
    table = np.zeros((len(images), RECORD), np.uint8)
    table[:, 1:] = images.reshape(len(images), -1)
    file.write(table.tobytes())


def checked(images: NDArray[Any], shape: tuple[int, ...], dtype: Any = np.uint8) -> None:
    """Raises ValueError unless images have a shape (member, *shape) and a type."""
    if images.ndim != 4 or images.shape[1:] != shape or images.dtype != dtype:
        sizes = ("row", "column") if len(shape) == 3 and shape[0] == 1 else shape[1:]
        wanted = ", ".join(str(n) for n in ("member", shape[0] if shape else 1, *sizes))
        raise ValueError(
            f"expected images ({wanted}) of {np.dtype(dtype)}, got {images.shape} of "
            f"{images.dtype}; reorder or convert them"
        )
