"""Members that do not fit in memory, in shuffled order, read ahead from their shards.

    members in packs -> packs permuted -> groups of packs -> members of a group permuted

A pack is some members side by side on the disk, a group is what is held: the group that the
batches are in, and the next one, which threads read meanwhile. Order and groups are functions of
(seed, epoch) and of sizes that the study decides, so the member at any place of a training is the
same whatever was asked before, however fast the threads are, and however members lie in shards.
Every member comes once an epoch; one in a later group never comes before one in an earlier, which
is what is given up for reading in long runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from pushforward.solvers import Use, uniforms

PACK = 2**24  # bytes: what a disk is asked for at once
THREADS = 2  # that read; a pack is read by one
PACKS, MEMBERS = 1, 2  # what is permuted: the "member" of the address (0: all that is resident)


class Source(Protocol):
    """Where fields come from (see `shards.Fields`)."""

    def read(self, members: range, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Some members (member, channel, *grid), float32, in `out` if it is given."""
        ...


@dataclass(frozen=True)
class Plan:
    """How many members are learnt, in packs of how many, and how many packs a group may have."""

    members: int
    pack: int
    group: int

    @classmethod
    def within(cls, memory: float, size: int, members: int, batch: int) -> Plan:
        """For `memory` bytes and members of `size` bytes each.

        Two groups fit, unless a batch could then lie in more than two of them.

        >>> Plan.within(2**30, 2**16, 10**5, batch=64)
        Plan(members=100000, pack=256, group=32)
        """
        pack = 1 << (max(min(PACK, int(memory) // 8) // size, 1)).bit_length() - 1
        least = 2 * -(-batch // pack) + 1
        return cls(members, pack, max(int(memory) // (2 * pack * size), least))

    @property
    def packs(self) -> int:
        """How many packs there are; the last one may be short."""
        return -(-self.members // self.pack)

    def span(self, pack: int) -> range:
        """The members of a pack."""
        return range(pack * self.pack, min((pack + 1) * self.pack, self.members))


class Epoch(NamedTuple):
    """All members in their order, the packs of every group, and the place where each begins."""

    order: Int[Tensor, " member"]
    groups: list[list[int]]
    starts: list[int]


class Reader:
    """The members of a training in their order, from a source that is read ahead; by place.

    Place p is the (p mod members)-th of epoch p div members. `held` counts the members in memory
    or on their way there. A copy (by pickle) holds nothing and reads for itself.

    >>> class Numbers:
    ...     def read(self, members, out=None):
    ...         return np.float32(members)[:, None, None] * np.ones((1, 1, 2), np.float32)
    >>> reader = Reader(Numbers(), Plan(members=10, pack=2, group=2), seed=0)
    >>> sorted(reader.rows(range(10))[:, 0, 0].int().tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    >>> reader.close()
    """

    def __init__(self, source: Source, plan: Plan, seed: int, threads: int = THREADS) -> None:
        self.source, self.plan, self.seed, self.threads = source, plan, seed, threads
        self._wake()

    def __len__(self) -> int:
        return self.plan.members

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("source", "plan", "seed", "threads")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._wake()

    def _wake(self) -> None:
        self.epoch = lru_cache(maxsize=3)(self._epoch)
        self._groups: dict[tuple[int, int], _Group] = {}
        self._spare: list[NDArray[np.float32]] = []
        self._pool: ThreadPoolExecutor | None = None

    @property
    def held(self) -> int:
        """How many members are in memory, or on their way there."""
        return sum(group.size for group in self._groups.values())

    def order(self, epoch: int) -> Int[Tensor, " member"]:
        """The members in the order in which they come in an epoch."""
        return self.epoch(epoch).order

    def rows(self, places: Sequence[int]) -> Float[Tensor, "place channel ..."]:
        """The fields of the members at some places, float32, in the order of the places.

        Raises OSError when something cannot be read.
        """
        where, members = self._where(np.asarray(places))
        wanted = sorted({*where})
        if len(wanted) == 1:  # else two are held already: one is read ahead when the first is done
            wanted.append(self._next(wanted[0]))
        for old in [group for group in self._groups if group not in wanted]:
            self._drop(old)
        for group in wanted:
            self._load(group)
        rows = [
            self._groups[group].row(*member) for group, member in zip(where, members, strict=True)
        ]
        return torch.from_numpy(np.stack(rows))

    def close(self) -> None:
        """Lets go of everything; the next call reads anew."""
        for group in [*self._groups]:
            self._drop(group)
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
        self._spare.clear()

    def _epoch(self, epoch: int) -> Epoch:
        plan, step = self.plan, epoch % 2**24
        keys = uniforms(self.seed, Use.ORDER, [PACKS], [torch.arange(plan.packs)], step)[0]
        packs = torch.argsort(keys, stable=True).numpy()
        groups = [part.tolist() for part in np.array_split(packs, -(-plan.packs // plan.group))]
        parts, starts, start = [], [], 0
        for group in groups:
            own = torch.cat([torch.tensor(plan.span(pack)) for pack in group])
            keys = uniforms(self.seed, Use.ORDER, [MEMBERS], [own], step)[0]
            parts.append(own[torch.argsort(keys, stable=True)])
            starts.append(start)
            start += len(own)
        return Epoch(torch.cat(parts), groups, starts)

    def _where(
        self, places: NDArray[np.int64]
    ) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """(epoch, group) of every place, and (pack, place in it) of its member."""
        epochs, inside = np.divmod(places, self.plan.members)
        groups, members = np.empty_like(places), np.empty_like(places)
        for number in {*epochs.tolist()}:
            epoch, own = self.epoch(number), epochs == number
            groups[own] = np.searchsorted(epoch.starts, inside[own], side="right") - 1
            members[own] = epoch.order.numpy()[inside[own]]
        packs, inside = np.divmod(members, self.plan.pack)
        where = zip(epochs.tolist(), groups.tolist(), strict=True)
        return [*where], [*zip(packs.tolist(), inside.tolist(), strict=True)]

    def _next(self, group: tuple[int, int]) -> tuple[int, int]:
        number, place = group
        last = place + 1 == len(self.epoch(number).groups)
        return (number + 1, 0) if last else (number, place + 1)

    def _load(self, key: tuple[int, int]) -> None:
        """Has a group read, if it is not there."""
        if key in self._groups:
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="reader")
        packs = self.epoch(key[0]).groups[key[1]]
        self._groups[key] = _Group(self.source, self.plan, packs, self._pool, self._spare)

    def _drop(self, key: tuple[int, int]) -> None:
        """Lets go of a group; what its packs lay in is read into again: new memory costs time."""
        self._spare += self._groups.pop(key).leave()


class _Group:
    """The members of some packs, read by threads into places of their own."""

    def __init__(
        self,
        source: Source,
        plan: Plan,
        packs: list[int],
        pool: ThreadPoolExecutor,
        spare: list[NDArray[np.float32]],
    ) -> None:
        self.pack = plan.pack
        self.size = sum(len(plan.span(pack)) for pack in packs)
        self.parts: dict[int, Future[NDArray[np.float32]]] = {}
        for pack in packs:
            span = plan.span(pack)
            whole = len(span) == plan.pack  # the last pack may be short
            out = spare.pop() if spare and whole else None
            self.parts[pack] = pool.submit(source.read, span, out)

    def row(self, pack: int, inside: int) -> NDArray[np.float32]:
        """The member at a place in a pack; waits for the pack."""
        return self.parts[pack].result()[inside]

    def leave(self) -> list[NDArray[np.float32]]:
        """The memory of whole packs, none of which a thread still writes to.

        Nobody waits for what has not begun.
        """
        for part in self.parts.values():
            part.cancel()
        done = [one for one in self.parts.values() if one.done() and not one.cancelled()]
        packs = [one.result() for one in done if one.exception() is None]
        return [pack for pack in packs if len(pack) == self.pack]
