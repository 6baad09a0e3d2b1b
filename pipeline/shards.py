"""Members read straight from the shards that hold them, faster than through an array library.

A shard is one file: its chunks, compressed one by one, and at its end where each lies and how long
it is, 16 bytes a chunk and a checksum. Reading a block of members is then a loop over chunks that
checks each CRC-32C and decompresses it to where it belongs, without the interpreter's lock, so
that threads read side by side. Chunks are compressed by Blosc, or by Zstandard as archives were
until 2026. Arrays of any other make (another codec, another index) are read by Zarr itself:
slower, the same values.

    Zarr v3 sharding codec: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numcodecs.blosc import Blosc
from numcodecs.zstd import Zstd
from numpy.typing import NDArray

from pushforward import critical

try:
    import google_crc32c
except ImportError:  # what Zarr takes checksums with, but not all versions of it
    google_crc32c = None

from pushforward.solvers import Grid

ABSENT = 2**64 - 1  # the offset of a chunk that was never written
CODECS = {"blosc": Blosc(), "zstd": Zstd()}  # what decompresses a chunk that is read here
SOUND = 0x48674BC7  # the CRC-32C of any bytes with their own CRC-32C behind them


class Shards:
    """One sharded array (member, time, *space) on a disk; pickled, it is opened where it wakes.

    Raises FileNotFoundError for a path without an array.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        array = zarr.open_array(path, mode="r", zarr_format=3)
        self.shape, self.dtype = array.shape, array.dtype
        self.shard, self.chunk = array.shards or array.chunks, array.chunks
        self.codec = _codec(array)

    def read(
        self, members: range, time: int, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Some members (member, *space) at the time with an index, as float32, in `out` if given.

        Raises OSError when a shard is not what was written to it.
        """
        if out is None:
            out = np.empty((len(members), *self.shape[2:]), np.float32)
        if self.codec is None:
            array = zarr.open_array(self.path, mode="r", zarr_format=3)
            out[...] = np.asarray(array[members.start : members.stop, time])
            return out
        block = self.shard[0]
        for number in range(members.start // block, -(-members.stop // block)):
            low = max(members.start, number * block)
            high = min(members.stop, (number + 1) * block)
            inside = range(low - number * block, high - number * block)
            self._read(number, inside, time, out[low - members.start : high - members.start])
        return out

    def _read(self, number: int, inside: range, time: int, out: NDArray[np.float32]) -> None:
        """Fills `out` with the members `inside` a shard."""
        path = self.path.joinpath("c", str(number), *["0"] * (len(self.shape) - 1))
        counts = [n // k for n, k in zip(self.shard, self.chunk, strict=True)]
        first, last = inside.start // self.chunk[0], -(-inside.stop // self.chunk[0])
        space = list(itertools.product(*map(range, counts[2:])))
        with path.open("rb", buffering=0) as file:
            index = self._index(file.fileno(), path, math.prod(counts)).reshape(*counts, 2)
            some = index[first:last, time // self.chunk[1]].reshape(-1, 2)
            places = itertools.product(range(first, last), space)
            for (offset, size), (row, where) in zip(some.tolist(), places, strict=True):
                if offset == ABSENT:
                    raise OSError(_damage(path, "a shard without one of its chunks"))
                data = os.pread(file.fileno(), size, offset)
                self._place(_checked(data, path), inside, row, where, time, out)

    def _place(
        self,
        data: memoryview,
        inside: range,
        row: int,
        where: Sequence[int],
        time: int,
        out: NDArray[np.float32],
    ) -> None:
        """Decompresses a chunk, the `row`-th along members and at `where` in space, into `out`."""
        start = row * self.chunk[0]
        low, high = max(start, inside.start), min(start + self.chunk[0], inside.stop)
        target = out[low - inside.start : high - inside.start]
        whole = high - low == self.chunk[0] and self.chunk[1] == 1
        entire = whole and self.chunk[2:] == self.shape[2:] and self.dtype == np.dtype("<f4")
        codec = CODECS[str(self.codec)]
        if entire and target.flags.c_contiguous:
            codec.decode(data, target)
            return
        values = np.frombuffer(codec.decode(data), self.dtype).reshape(self.chunk)
        corner = tuple(
            slice(place * size, (place + 1) * size)
            for place, size in zip(where, self.chunk[2:], strict=True)
        )
        target[(slice(None), *corner)] = values[low - start : high - start, time % self.chunk[1]]

    def _index(self, file: int, path: Path, count: int) -> NDArray[np.uint64]:
        """Offsets and sizes (count, 2) of a shard's chunks."""
        size = 16 * count + 4
        data = os.pread(file, size, max(os.fstat(file).st_size - size, 0))
        if len(data) < size:
            raise OSError(_damage(path, "a shorter file"))
        return np.frombuffer(_checked(data, path), "<u8").reshape(count, 2)


class Fields:
    """The fields of a group of arrays that a training stacks: (time, name) of every channel.

    Fields on the critical grid come on the full one, as through `Archive.open`.
    """

    def __init__(self, path: Path, stack: Sequence[tuple[int, str]]) -> None:
        self.arrays = {name: Shards(path / name) for _, name in stack}
        self.stack = [(time % self.arrays[name].shape[1], name) for time, name in stack]
        group = zarr.open_group(path, mode="r", zarr_format=3)
        attrs: dict[str, Any] = dict(group.attrs)
        space = next(iter(self.arrays.values())).shape[2:]
        self.grids: tuple[Grid, Grid] | None = None
        if "full_shape" in attrs:
            box = {"extent": tuple(attrs["box_extent"]), "boundary": attrs["boundary"]}
            self.grids = Grid(space, **box), Grid(tuple(attrs["full_shape"]), **box)
        self.shape = (len(self.stack), *(self.grids[1].shape if self.grids else space))

    def read(self, members: range, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Some members (member, channel, *grid), float32, in `out` if it is given.

        Raises OSError when a shard is not what was written to it.
        """
        if out is None:
            out = np.empty((len(members), *self.shape), np.float32)
        for place, (time, name) in enumerate(self.stack):
            if self.grids:
                values = self.arrays[name].read(members, time)
                out[:, place] = critical.move(values, *self.grids)
            else:
                self.arrays[name].read(members, time, out[:, place])
        return out


def _codec(array: Any) -> str | None:
    """The codec of an array whose shards are of the make that is read here, else None."""
    codecs = array.metadata.to_dict()["codecs"]
    if [one["name"] for one in codecs] != ["sharding_indexed"] or len(array.shape) < 3:
        return None
    how = codecs[0]["configuration"]
    names = [one["name"] for one in how["codecs"]]
    own = (
        google_crc32c is not None
        and names in (["bytes", name, "crc32c"] for name in CODECS)
        and tuple(one["name"] for one in how["index_codecs"]) == ("bytes", "crc32c")
        and how["codecs"][0]["configuration"]["endian"] == "little"
        and how["index_location"] == "end"
        and array.dtype.kind == "f"
        # a last shard of an array that is no multiple of it is stored in full, its members are not
        and all(n == k for n, k in zip(array.shape[1:], array.shards[1:], strict=True))
    )
    return names[1] if own else None


def _checked(data: bytes, path: Path) -> memoryview:
    """What lies before the CRC-32C at the end of some bytes."""
    if google_crc32c and google_crc32c.value(data) != SOUND:
        raise OSError(_damage(path, "other bytes"))
    return memoryview(data)[:-4]


def _damage(path: Path, got: str) -> str:
    return (
        f"expected {path} as it was written, got {got}; run `pushforward verify` and make what it "
        "names again"
    )
