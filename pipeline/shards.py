"""Members read straight from the shards that hold them, faster than through an array library.

Reading a block of members is a loop over the chunks of a shard (see `codec`) that checks each
CRC-32C and decompresses it to where it belongs, without the interpreter's lock, so that threads
read side by side. Arrays of any other make are read by Zarr itself: slower, the same values.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward import critical, files, places
from pushforward.codec import ABSENT, Codec, shard_file
from pushforward.places import Place
from pushforward.solvers import Grid


class Shards:
    """One sharded array (member, time, *space) on a disk; pickled, it is opened where it wakes.

    `static` ones are (member, *space), are read by Zarr, and have the time None.

    Raises FileNotFoundError for a path without an array.
    """

    def __init__(self, path: Place, static: bool = False) -> None:
        self.path = path
        array = places.array(path)
        self.space = array.shape[1 if static else 2 :]
        self.shape, self.dtype = array.shape, array.dtype
        self.shard, self.chunk = array.shards or array.chunks, array.chunks
        self.codec = None if static or len(array.shape) < 3 else Codec.of(array)

    def read(
        self, members: range, time: int | None, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Some members (member, *space) at the time with an index, as float32, in `out` if given.

        Raises OSError when a shard is not what was written to it.
        """
        if out is None:
            out = np.empty((len(members), *self.space), np.float32)
        if self.codec is None or time is None:
            array = places.array(self.path)
            some = slice(members.start, members.stop)
            out[...] = np.asarray(array[some] if time is None else array[some, time])
            return out
        block = self.shard[0]
        for number in range(members.start // block, -(-members.stop // block)):
            low = max(members.start, number * block)
            high = min(members.stop, (number + 1) * block)
            inside = range(low - number * block, high - number * block)
            self._read(
                self.codec, number, inside, time, out[low - members.start : high - members.start]
            )
        return out

    def _read(
        self, codec: Codec, number: int, inside: range, time: int, out: NDArray[np.float32]
    ) -> None:
        """Fills `out` with the members `inside` a shard."""
        path = shard_file(self.path, number, len(self.shape))
        first, last = inside.start // self.chunk[0], -(-inside.stop // self.chunk[0])
        space = list(itertools.product(*map(range, codec.counts[2:])))
        try:
            index = codec.index(files.read_tail(path, codec.index_size))
            some = index[first:last, time // self.chunk[1]].reshape(-1, 2)
            if (some[:, 0] == ABSENT).any():
                raise ValueError("a shard without one of its chunks")
            parts = files.read_parts(path, [(int(at), int(size)) for at, size in some])
            for (row, where), data in zip(
                itertools.product(range(first, last), space), parts, strict=True
            ):
                self._place(codec, data, inside, row, where, time, out)
        except (ValueError, RuntimeError) as error:
            raise OSError(
                f"expected {path} as it was written, got {error}; run `pushforward verify` and "
                "make what it names again"
            ) from None

    def _place(
        self,
        codec: Codec,
        data: bytes,
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
        entire = whole and self.chunk[2:] == self.shape[2:] and self.dtype == out.dtype
        if entire and target.flags.c_contiguous:
            codec.decode(data, target)
            return
        values = codec.decode(data)
        corner = tuple(
            slice(place * size, (place + 1) * size)
            for place, size in zip(where, self.chunk[2:], strict=True)
        )
        target[(slice(None), *corner)] = values[low - start : high - start, time % self.chunk[1]]


class Fields:
    """The fields of a group of arrays that a training stacks: (time, name) of every channel, of a
    static one (None, name).

    Fields on the critical grid come on the full one, as through `Archive.open`.
    """

    def __init__(self, path: Place, stack: Sequence[tuple[int | None, str]]) -> None:
        self.arrays = {name: Shards(path / name, time is None) for time, name in stack}
        self.stack = [
            (None if time is None else time % self.arrays[name].shape[1], name)
            for time, name in stack
        ]
        attrs: dict[str, Any] = dict(places.group(path).attrs)
        space = next(iter(self.arrays.values())).space
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
