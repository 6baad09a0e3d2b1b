"""Members of an ensemble that are read a few at a time: from memory, a disk, Dask or a sampler.

Scores never hold an ensemble: they ask a `Members` value for the members from start to stop and
get a tensor (member, variable, *grid). What is asked is small enough to travel: a reader can be
sent to another process, where it opens its own files, and a part of an ensemble that is in memory
takes along only that part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from pushforward.solvers import Grid

Read = Callable[[int, int], Tensor]


@dataclass(frozen=True, eq=False)
class Members:
    """How many members there are, and a function of (start, stop) that reads some of them.

    What is read is (member, variable, *grid). The function must be picklable for evaluations in
    several processes: of a module, or an object that can be called.

    >>> u = Members.of(torch.arange(24.0).reshape(6, 1, 4))
    >>> len(u), u[2:].read(0, 1)
    (6, tensor([[[ 8.,  9., 10., 11.]]]))
    >>> [len(part) for _, part in u.blocks(4)]
    [4, 2]
    """

    count: int
    read: Read

    @classmethod
    def of(cls, fields: Tensor | Members) -> Members:
        """Members in memory, (member, variable, *grid); what is a reader already stays."""
        if isinstance(fields, Members):
            return fields
        return cls(len(fields), _Held(fields.detach().cpu().numpy()))

    @classmethod
    def labelled(
        cls, arrays: Sequence[xr.DataArray], source: Grid, target: Grid | None = None
    ) -> Members:
        """The members of labelled arrays, one a variable, restricted to the target grid.

        Each array has the dimension `member` and those of the source grid. Dask-backed ones
        compute only the chunks that are asked for, lazily opened ones read only these.
        """
        ordered = []
        for array in arrays:
            space = [dim for dim in array.dims if dim != "member"]
            ordered.append(array.transpose("member", *space))
        return cls(ordered[0].sizes["member"], _Labelled(tuple(ordered), source, target or source))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, part: slice) -> Members:
        """Some members in a row: a step of 1 only."""
        start, stop, step = part.indices(self.count)
        if step != 1:
            raise ValueError(f"expected members in a row, got a step of {step}; leave it out")
        count = max(0, stop - start)
        if isinstance(self.read, _Held):
            return Members(count, _Held(self.read.values[start:stop]))
        if isinstance(self.read, _Part):
            return Members(count, _Part(self.read.read, self.read.first + start))
        return Members(count, _Part(self.read, start))

    def then(self, other: Members) -> Members:
        """These members, and the other's after them.

        >>> u = Members.of(torch.zeros(2, 1, 4)).then(Members.of(torch.ones(3, 1, 4)))
        >>> u.read(1, 4)[:, 0, 0]
        tensor([0., 1., 1.])
        """
        return Members(self.count + other.count, _Row(self, other))

    def blocks(self, size: int) -> Iterator[tuple[int, Members]]:
        """(first, part) of parts of `size` members, in order."""
        for first in range(0, self.count, size):
            yield first, self[first : first + size]

    def head(self, most: int) -> Tensor:
        """The first members, at most so many, read at once."""
        return self.read(0, min(most, self.count))

    @property
    def lazy(self) -> bool:
        """Whether the members are computed by Dask when they are read."""
        read = self.read.read if isinstance(self.read, _Part) else self.read
        return isinstance(read, _Labelled) and any(x.chunks for x in read.arrays)


@dataclass(frozen=True, eq=False)
class _Part:
    """A reader of what comes after some first members of another."""

    read: Read
    first: int

    def __call__(self, start: int, stop: int) -> Tensor:
        return self.read(self.first + start, self.first + stop)


@dataclass(frozen=True, eq=False)
class _Row:
    """A reader of the members of two, one after the other."""

    one: Members
    other: Members

    def __call__(self, start: int, stop: int) -> Tensor:
        n = self.one.count
        parts = []
        if start < n:
            parts.append(self.one.read(start, min(stop, n)))
        if stop > n:
            parts.append(self.other.read(max(start - n, 0), stop - n))
        return torch.cat(parts)


@dataclass(frozen=True, eq=False)
class _Held:
    """Members in memory: an array, since a slice of it travels without the rest."""

    values: NDArray[Any]

    def __call__(self, start: int, stop: int) -> Tensor:
        values = self.values[start:stop]
        return torch.from_numpy(values if values.flags.writeable else values.copy())


@dataclass(frozen=True, eq=False)
class _Labelled:
    """One array (member, *grid) a variable."""

    arrays: tuple[xr.DataArray, ...]
    source: Grid
    target: Grid

    def __call__(self, start: int, stop: int) -> Tensor:
        chosen = [array.isel(member=slice(start, stop)) for array in self.arrays]
        fields = torch.stack([tensor(array) for array in chosen], 1)
        return self.source.resample(fields, self.target)


def tensor(fields: xr.DataArray) -> Tensor:
    """The values of (member, *grid) fields as a tensor of their own."""
    dims = [dim for dim in fields.dims if dim != "member"]
    if fields.chunks:  # in this thread: a block is small, and may be computed inside a Dask task
        fields = fields.compute(scheduler="synchronous")
    values = np.asarray(fields.transpose("member", *dims).values)
    return torch.from_numpy(np.array(values, dtype=values.dtype.newbyteorder("=")))
