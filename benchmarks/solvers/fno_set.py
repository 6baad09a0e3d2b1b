"""FNO's Navier-Stokes set of viscosity 1e-3 made again: 5000 trajectories, 64^2, t = 1 ... 50.

Initial states are pushforward's own draws of the law in the published code; counted are the
seconds inside `evolve`, one process a core, of a sample unless all members are asked for.

    Li et al., arXiv:2010.08895
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.markdown import number
from pushforward.solvers import GaussianField, Grid, NavierStokes, Problem
from pushforward.solvers.integrators import evolve

from .cases import TARGETS, Case
from .codes import entries
from .search import Found, Search
from .two_cores import shared, two
from .workers import Failed, Workers

MEMBERS, TIME, SAMPLE, BLOCK = 5000, 50, 640, 64
# The same as a case with a reference, for the error and the tolerance that it asks for.
CASE = Case("fno", "FNO's set", "navier_stokes", 64, 1.0, 8, 50.0, 20, 200, {"viscosity": 1e-3})


@dataclass
class FnoSet:
    """The set's seconds on all cores, from `sample` members, and the error of `CASE`."""

    seconds: float
    sample: int
    tail: float
    kernel: str
    steps: float
    found: Found

    def sentences(self) -> str:
        """What the page says."""
        whole = "all of them" if self.sample == MEMBERS else f"from a sample of {self.sample}"
        goal = "" if self.found.reached else f" (goal {TARGETS[-1]:g})"
        return (
            f"**FNO's Navier-Stokes set**, viscosity 1e-3, {MEMBERS} trajectories to t = {TIME} "
            f"at 64², {TIME} frames each: **{number(self.seconds)} s** of solver time on "
            f"{len(two())} cores ({whole}), float32, tolerance {self.found.setting:.1e}, "
            f"{self.steps:.0f} steps each, kernel {self.kernel}. The largest error of "
            f"{CASE.members} members against the reference is {self.found.error:.1e}{goal}, the "
            f"largest tail {self.tail:.1e}."
        )


def tolerance(workers: Workers) -> Found:
    """The loosest one that keeps `CASE` within the finer target to the end, in float32."""
    name = "ours-54a"
    entry = entries(CASE)[name]
    worker = workers.get(entry, "float32")

    def solve(setting: float) -> dict[str, Any]:
        try:
            return worker.ask("solve", name, CASE, setting=setting)
        except Failed as reason:
            return {"error": None, "seconds": 0.0, "notes": {"refused": str(reason)}}

    return Search(solve, entry.order, adaptive=True).target(TARGETS[-1], TARGETS[-1])


def fno_set(found: Found, sample: int = SAMPLE) -> FnoSet:
    """The time of a sample on two cores, scaled to all members."""
    starts = range(0, sample, BLOCK)
    blocks = [(range(i, min(i + BLOCK, sample)), found.setting) for i in starts]
    done = shared(_block, blocks)
    seconds = sum(one["seconds"] for one in done) / len(two()) * MEMBERS / sample
    tail = max(one["tail"] for one in done)
    steps = sum(one["steps"] for one in done) / len(done)
    return FnoSet(seconds, sample, tail, done[0]["kernel"], steps, found)


def _block(block: tuple[range, float]) -> dict[str, Any]:
    members, tolerance = block
    grid = Grid((CASE.points,) * 2, (CASE.extent,) * 2)
    law = GaussianField.matern(2.5, 1 / 7, amplitude=7**1.5, mean=False)
    equation = NavierStokes(viscosity=CASE.constants["viscosity"])
    initial = Problem(grid, equation, law, dtype="float32").start(members)
    force = torch.from_numpy(CASE.forcing()).to(initial).repeat(len(members), 1, 1)
    times = [float(t + 1) for t in range(TIME)]
    began = time.perf_counter()
    solution = evolve(equation, grid, initial, times=times, tolerance=tolerance, forcing=force)
    return {
        "seconds": time.perf_counter() - began,
        "tail": float(solution.tail.max()),
        "kernel": solution.kernel,
        "steps": float((solution.steps + solution.rejected).double().mean()),
    }
