"""Compiled time loops for the most used equations, where a C compiler built them.

One trajectory a SIMD lane: all arithmetic runs on vectors whose lanes are members, transforms
included, so nothing is ever shuffled and every lane has a step size of its own. When a member has
reached its last time, the next one takes its lane. A member's bits do not depend on its lane or
its neighbours. The torch path follows the same rules (tableaux, controller) and is the reference.

The C text is read in this order: job.h, lanes.h, butterfly.h, fft.h, cosine.h, lawson.h,
workspace.h, vorticity.h, reaction.h, sweep.h, control.h, engine.h. Two more rooms share the
libraries and are asked for elsewhere: philox.c (see `solvers.normals`), numbers by address, and
perceptron.c (see `generative.perceptron`), what a network does at a point.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.solvers.equation import Equation
from pushforward.solvers.grid import Grid
from pushforward.solvers.kernels.binding import (
    BLEW_UP,
    FINISHED,
    STEP_UNDERFLOW,
    Answers,
    request,
)
from pushforward.solvers.kernels.family import family, symbols
from pushforward.solvers.kernels.libraries import built, choose
from pushforward.solvers.tableaux import TABLEAUX, Tableau

__all__ = [
    "BLEW_UP",
    "FINISHED",
    "STEP_UNDERFLOW",
    "Answers",
    "available",
    "choose",
    "solve",
    "supports",
]


def available() -> str | None:
    """The instruction set that serves "auto", None where torch does: see `choose`.

    >>> available() in (None, "baseline", "avx2", "avx512")
    True
    """
    return choose()


def supports(
    equation: Equation,
    grid: Grid,
    dtype: torch.dtype,
    scheme: str,
    device: torch.device | str = "cpu",
    noise: object | None = None,
    kernel: str = "auto",
) -> bool:
    """Whether `solve` can do it; noise it never can.

    Raises ValueError for a `kernel` that is not there.

    >>> from pushforward.solvers.burgers import Burgers
    >>> supports(Burgers(), Grid((64,)), torch.float32, "ifrk54")
    False
    """
    return (
        choose(kernel) is not None
        and noise is None
        and torch.device(device).type == "cpu"
        and dtype in (torch.float32, torch.float64)
        and scheme in TABLEAUX
        and family(equation, grid) is not None
        and symbols(equation, grid) is not None
    )


def solve(
    equation: Equation,
    grid: Grid,
    u_hat: Tensor,
    f_hat: Tensor | None,
    times: Sequence[float],
    tableau: Tableau,
    step: float | None = None,
    tolerance: float | None = None,
    kernel: str = "auto",
) -> Answers:
    """Members from their coefficients to all `times`.

    `u_hat` (member, channel, *spectral) and `f_hat` (member, *spectral) or None are cut by the 2/3
    rule. With a `tolerance` steps are chosen, `step` being the largest; without one they are
    `step`, shortened to divide each interval. Nothing is raised for a member that fails: see
    `Answers`. An interrupt is heard within a second.

    >>> from pushforward.solvers import GrayScott
    >>> grid = Grid((16, 16))
    >>> rest = grid.fft(GrayScott().initial_state(None, grid))
    >>> if available():
    ...     pair = TABLEAUX["ifrk54"]
    ...     assert solve(GrayScott(), grid, rest, None, (1.0,), pair, 0.5).steps.item() == 2
    """
    isa = choose(kernel)
    if isa is None:
        raise ValueError(f"expected a compiled kernel, got {kernel!r}; ask `supports` first")
    answers = Answers.empty(u_hat, len(times))
    asked = request(equation, grid, u_hat, f_hat, times, tableau, step, tolerance, answers)
    kind = "f64" if u_hat.dtype in (torch.complex128, torch.float64) else "f32"
    library = built()[isa]
    new, advance, free = (
        getattr(library, f"pushforward_{kind}_{verb}") for verb in ("new", "advance", "free")
    )
    work = new(ctypes.byref(asked.job))
    if not work:
        raise MemoryError(f"the kernel found no memory for grid {grid.shape}; use a smaller one")
    try:
        while advance(work):
            pass  # signals are heard between two calls
    finally:
        free(work)
    return answers
