"""The Well's Gray-Scott made again: six patterns, two kinds of start, 128^2, t = 0 ... 10 000.

A sample of each is solved window by window, single precision, one process a core; counted are the
seconds inside `evolve`, and noted is what the resolution guard says.

    Ohana et al., arXiv:2412.00568
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from benchmarks.markdown import number, table
from pushforward.solvers import GrayScott, Grid, Problem
from pushforward.solvers.integrators import evolve
from pushforward.solvers.random_bumps import RandomBumps
from pushforward.solvers.random_cells import RandomCells
from pushforward.solvers.tail import COARSE, ResolutionWarning

from .two_cores import shared, two

PATTERNS = {
    "gliders": (0.014, 0.054),
    "bubbles": (0.098, 0.057),
    "maze": (0.029, 0.057),
    "worms": (0.058, 0.065),
    "spirals": (0.018, 0.051),
    "spots": (0.03, 0.062),
}
STARTS = {"bumps": ("mixture", RandomBumps()), "cells": ("perturbation", RandomCells())}
MEMBERS, TIME, WINDOW, EVERY = 1200, 10_000.0, 1000.0, 10
SAMPLE, TOLERANCE, LONGEST = 16, 1e-4, 60.0


@dataclass
class Pattern:
    """A pattern from one kind of start: seconds and steps a trajectory, and what the guard says.

    `coarse` is the share of members that it complains of, `error` the relative L2 error of time
    stepping at the end of the first window (against a tenth of the tolerance), `simulated` the
    time that was solved for, the rest being extrapolated.
    """

    name: str
    start: str
    seconds: float = 0.0
    steps: float = 0.0
    simulated: float = 0.0
    tail: float = 0.0
    coarse: float = 0.0
    error: float = math.nan
    kernel: str = ""


@dataclass
class WellSet:
    """All patterns, and the minutes that the set takes on all cores."""

    patterns: list[Pattern] = field(default_factory=list)

    @property
    def minutes(self) -> float:
        """Of solver time, the load shared evenly."""
        mean = sum(p.seconds for p in self.patterns) / len(self.patterns)
        return MEMBERS * mean / len(two()) / 60

    def sentences(self) -> Iterator[str]:
        """What the page says."""
        kernels = ", ".join(sorted({p.kernel for p in self.patterns}))
        yield (
            f"**The Well's Gray-Scott**, {MEMBERS} trajectories to t = {TIME:.0f} at 128², "
            f"{TIME / EVERY:.0f} frames each: **{number(self.minutes)} minutes** of solver time "
            f"on {len(two())} cores, float32, tolerance {TOLERANCE:g}, kernel {kernels}, from "
            f"samples of {SAMPLE}. A tail is the share of the field in the outermost waves of the "
            f"grid, largest of all members and times; of those above {COARSE:g} the guard says "
            f"that the grid is too coarse. The error is that of time stepping, after {WINDOW:.0f} "
            "units, against a tenth of the tolerance."
        )
        head = ["pattern", "start", "s / trajectory", "steps", "solved to", "error", "tail"]
        rows = [
            [
                p.name, p.start, number(p.seconds), f"{p.steps:.0f}", f"{p.simulated:.0f}",
                f"{p.error:.1e}", f"{p.tail:.1e}", f"{p.coarse:.0%}",
            ]
            for p in self.patterns
        ]  # fmt: skip
        yield table([*head, "members too coarse"], rows)


def well_set(sample: int = SAMPLE, until: float = TIME) -> WellSet:
    """A sample of every pattern from both kinds of start."""
    jobs = [(name, start, sample, until) for name in PATTERNS for start in STARTS]
    return WellSet(shared(_pattern, jobs))


def _pattern(job: tuple[str, str, int, float]) -> Pattern:
    name, start, members, until = job
    feed, kill = PATTERNS[name]
    kind, law = STARTS[start]
    equation = GrayScott(feed_rate=feed, kill_rate=kill, start=kind)
    grid = Grid((128, 128), (2.0, 2.0))
    state = Problem(grid, equation, law, dtype="float32").start(range(members))
    window = min(WINDOW, until)
    times = [float(EVERY * (i + 1)) for i in range(int(window) // EVERY)]
    done, tails = Pattern(name, start), torch.zeros(members, dtype=torch.float64)
    warnings.simplefilter("ignore", ResolutionWarning)
    while done.simulated < until and done.seconds < LONGEST:
        began = time.perf_counter()
        solution = evolve(equation, grid, state, times=times, tolerance=TOLERANCE)
        done.seconds += time.perf_counter() - began
        last = solution.fields[:, -1].clone()
        if not done.simulated:
            done.error = _error(equation, grid, state, last, window)
        state, done.kernel = last, solution.kernel
        tails = torch.maximum(tails, solution.tail.amax(1))
        done.steps += float((solution.steps + solution.rejected).double().mean())
        done.simulated += window
    done.seconds *= TIME / done.simulated / members
    done.steps *= TIME / done.simulated
    done.tail, done.coarse = float(tails.max()), float((tails > COARSE).double().mean())
    return done


def _error(
    equation: GrayScott, grid: Grid, start: torch.Tensor, found: torch.Tensor, until: float
) -> float:
    fine = evolve(equation, grid, start, times=[until], tolerance=TOLERANCE / 10).fields[:, -1]
    wrong = (found - fine).double().square().sum(grid.axes).sqrt()
    return float((wrong / fine.double().square().sum(grid.axes).sqrt()).max())
