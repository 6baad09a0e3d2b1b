r"""Batches on their way through time: in equal steps, or each member in steps of its own.

In equal steps all members share their tables, and are looked at now and then: the number of steps
a member has been finite for is counted where it lives. With a tolerance every member has its own
`Controller`, and the batch waits for the host once a step. A member that has arrived stands still
until enough have to be worth leaving out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import torch
from torch import Tensor

from pushforward.solvers.controller import Controller
from pushforward.solvers.equation import Nonlinear
from pushforward.solvers.failure import failure
from pushforward.solvers.grid import Grid
from pushforward.solvers.stages import Stages, combine, norms
from pushforward.solvers.wiener import Path

LOOK = 32  # steps between two looks at whether all members are finite
WORTH = 8  # members are left out once one in so many has arrived


@dataclass(frozen=True)
class March:
    """What is marched: a scheme, the nonlinear part, the forcing, moments, names of members.

    `forcing` is (member, 1, *spectral) or None; states are (member, channel, *spectral), and both
    ways give frames (member, time, channel, *spectral).
    """

    grid: Grid
    stages: Stages
    nonlinear: Nonlinear
    forcing: Tensor | None
    times: Sequence[float]
    names: Sequence[int]

    def equally(
        self, u: Tensor, step: float, path: Path | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """In steps that divide each interval, none longer than `step`: frames and step counts."""
        frames, now, steps, intervals = self._frames(u), 0.0, 0, 0
        tables, previous = u, math.nan
        for index, time in enumerate(self.times):
            span = time - now
            if span > 0:
                count, kicks = self._cut(span, step, path, intervals, u)
                h = span / count
                if not math.isclose(h, previous, rel_tol=1e-12):
                    tables, previous = self.stages.cast([h], u), h
                u = self._interval(u, tables, kicks, now, h, step)
                steps, intervals = steps + count, intervals + 1
            frames[:, index] = u
            now = time
        counts = torch.full((len(u),), steps)
        return frames, counts, torch.zeros_like(counts)

    def by_tolerance(
        self, u: Tensor, tolerance: float, longest: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """In steps that keep the estimated error below `tolerance`, every member in its own."""
        frames = self._frames(u)
        if self.times[0] == 0:
            frames[:, 0] = u
        clocks = [
            Controller(self.times, longest, tolerance, self.stages.order, scale, name)
            for scale, name in zip(norms(u, self.grid).tolist(), self.names, strict=True)
        ]
        batch = _Batch(self, u, clocks)
        while batch.under_way:
            batch.step(frames)
        steps = torch.tensor([clock.steps for clock in clocks])
        return frames, steps, torch.tensor([clock.rejected for clock in clocks])

    def _frames(self, u: Tensor) -> Tensor:
        return u.new_empty((len(u), len(self.times), *u.shape[1:]))

    def _cut(
        self, span: float, step: float, path: Path | None, interval: int, like: Tensor
    ) -> tuple[int, Iterator[Tensor | None]]:
        """How many steps, and what kicks the state in each."""
        if path is None:
            count = max(math.ceil(span / step - 1e-9), 1)
            return count, repeat(None, count)
        level = path.level(span, step)
        return 2**level, path.increments(interval, span, level, like)

    def _interval(
        self,
        u: Tensor,
        tables: Tensor,
        kicks: Iterator[Tensor | None],
        start: float,
        h: float,
        step: float,
    ) -> Tensor:
        good = torch.zeros(len(u), dtype=torch.int64, device=u.device)
        rhs = lambda state: self.nonlinear(state, self.forcing)  # noqa: E731
        taken = 0
        for taken, kick in enumerate(kicks, start=1):
            u, _ = self.stages.advance(tables, u, rhs, kick=kick)
            good += torch.isfinite(_sum(u))
            if taken % LOOK == 0:
                self._look(good, taken, start, h, step)
        self._look(good, taken, start, h, step)
        return u

    def _look(self, good: Tensor, taken: int, start: float, h: float, step: float) -> None:
        counts = good.tolist()
        if min(counts) < taken:
            worst = counts.index(min(counts))
            time = start + (counts[worst] + 1) * h
            raise failure(self.names[worst], time, finite=False, step=step, tolerance=None)


class _Batch:
    """The members still under way, and a few that have arrived."""

    def __init__(self, march: March, u: Tensor, clocks: list[Controller]) -> None:
        self.march, self.clocks = march, clocks
        self.lanes = list(range(len(clocks)))
        self.u, self.forcing = u, march.forcing
        self.first = march.nonlinear(u, self.forcing)
        self.tables = u.new_empty(0)

    @property
    def under_way(self) -> bool:
        return any(not self.clocks[lane].done for lane in self.lanes)

    def step(self, frames: Tensor) -> None:
        clocks = [self.clocks[lane] for lane in self.lanes]
        moving = [not clock.done for clock in clocks]
        self._tabulate([i for i, clock in enumerate(clocks) if moving[i] and clock.propose()])
        rhs = lambda u: self.march.nonlinear(u, self.forcing)  # noqa: E731
        new, sources = self.march.stages.advance(self.tables, self.u, rhs, self.first)
        last = rhs(new)
        error = combine(self.tables, self.march.stages.error, [*sources, last])
        sizes = torch.stack([norms(error, self.march.grid), norms(new, self.march.grid)], dim=1)
        accepted = [
            moving[i] and clocks[i].judge(*pair)  # the one wait for the device
            for i, pair in enumerate(sizes.tolist())
        ]
        self._take(accepted, new, last)
        for i, clock in enumerate(clocks):
            if accepted[i] and clock.landed:
                frames[self.lanes[i], clock.index - 1] = self.u[i]
        self._leave_out()

    def _tabulate(self, rows: list[int]) -> None:
        """New tables for the members whose step is another one."""
        if not rows:
            return
        fresh = self.march.stages.cast([self.clocks[self.lanes[i]].step for i in rows], self.u)
        if not len(self.tables):
            self.tables = fresh
        else:
            self.tables[:, torch.tensor(rows, device=self.u.device)] = fresh

    def _take(self, accepted: list[bool], new: Tensor, last: Tensor) -> None:
        if all(accepted):
            self.u, self.first = new, last
            return
        rows = torch.tensor([i for i, yes in enumerate(accepted) if yes], device=new.device)
        rows = rows.long()
        self.u = self.u.index_copy(0, rows, new[rows])
        self.first = self.first.index_copy(0, rows, last[rows])

    def _leave_out(self) -> None:
        """Goes on without those who have arrived, if enough have."""
        going = [i for i, lane in enumerate(self.lanes) if not self.clocks[lane].done]
        if not going or (len(self.lanes) - len(going)) * WORTH < len(self.lanes):
            return
        keep = torch.tensor(going, device=self.u.device)
        self.lanes = [self.lanes[i] for i in going]
        self.u, self.first = self.u[keep], self.first[keep]
        self.forcing = None if self.forcing is None else self.forcing[keep]
        steps = [self.clocks[lane].step for lane in self.lanes]
        self.tables = self.march.stages.cast(steps, self.u)


def _sum(u: Tensor) -> Tensor:
    parts = torch.view_as_real(u) if u.is_complex() else u
    return parts.flatten(1).sum(1)
