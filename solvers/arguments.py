"""What `integrate` and `evolve` refuse, one sentence each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from pushforward.solvers.equation import Equation
from pushforward.solvers.grid import Grid
from pushforward.solvers.wiener import BITS

FINEST = {torch.float32: 2e-6, torch.float64: 1e-14}  # round-off, as error estimates see it


def check_shapes(equation: Equation, grid: Grid, initial: Tensor, forcing: Tensor | None) -> None:
    """Raises ValueError unless equation, grid, initial state and forcing fit each other."""
    name = type(equation).__name__
    if grid.boundary not in equation.boundary:
        raise ValueError(
            f"expected a grid with boundary {' or '.join(equation.boundary)} for {name}, got "
            f"{grid.boundary}; make the grid with one of them"
        )
    if not len(initial):
        raise ValueError("expected at least one member, got none; give an initial state")
    expected = (len(initial), len(equation.channels), *grid.shape)
    if tuple(initial.shape) != expected:
        raise ValueError(
            f"expected an initial state of shape (member, channel, *grid) = {expected}, "
            f"got {tuple(initial.shape)}; add the missing axis"
        )
    if initial.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"expected an initial state in torch.float32 or torch.float64, got {initial.dtype}; "
            "convert it to such a tensor"
        )
    if forcing is not None and not equation.forced:
        raise ValueError(
            f"expected no forcing for {name}, got one of shape {tuple(forcing.shape)}; "
            "leave it out"
        )
    if forcing is not None and tuple(forcing.shape) != (len(initial), *grid.shape):
        raise ValueError(
            f"expected a forcing of shape (member, *grid) = {(len(initial), *grid.shape)}, "
            f"got {tuple(forcing.shape)}; draw it on the same grid"
        )


def check_names(members: Sequence[int], count: int) -> None:
    """Raises ValueError unless there is one name for each of `count` states."""
    if len(members) != count:
        raise ValueError(
            f"expected {count} members, one for each state, got {len(members)}; name every row"
        )


def check_finite(initial: Tensor, forcing: Tensor | None, members: Sequence[int]) -> None:
    """Raises ValueError naming the first member whose state or forcing is not finite."""
    for what, values in (("initial state", initial), ("forcing", forcing)):
        if values is None or not len(values):
            continue
        finite = torch.isfinite(values).flatten(1).all(1)
        if not bool(finite.all()):
            first = int((~finite).nonzero()[0])
            raise ValueError(
                f"expected a finite {what}, got NaN or infinity in member {members[first]}; "
                "check where it comes from"
            )


def check_times(
    times: Sequence[float],
    step: float | None,
    tolerance: float | None,
    scheme: str,
    dtype: torch.dtype,
) -> None:
    """Raises ValueError unless moments, step and tolerance fit each other and the scheme."""
    if not times or not all(math.isfinite(time) for time in times):
        raise ValueError(f"expected increasing times from 0, got {tuple(times)}; give numbers")
    if times[0] < 0 or any(b <= a for a, b in pairwise(times)):
        raise ValueError(f"expected increasing times from 0, got {tuple(times)}; sort them")
    if step is None and tolerance is None:
        raise ValueError(
            "expected a step or a tolerance, got neither; give tolerance=1e-5 for steps that "
            "follow the error"
        )
    if step is not None and not 0 < step < math.inf:
        raise ValueError(
            f"expected a positive step, got {step}; choose one below the shortest interval"
        )
    if tolerance is None:
        return
    if scheme == "etdrk2":
        raise ValueError(
            "expected a scheme with an error estimate for a tolerance, got 'etdrk2'; choose "
            "another scheme, or give a step alone"
        )
    if not 0 < tolerance < 1:
        raise ValueError(f"expected a tolerance between 0 and 1, got {tolerance}; choose 1e-5")
    if tolerance < FINEST[dtype]:
        less = "compute in float64 for less" if dtype == torch.float32 else "raise it"
        raise ValueError(
            f"expected a tolerance of at least {FINEST[dtype]:g} in {str(dtype)[6:]}, got "
            f"{tolerance:g}; {less}"
        )


def check_noise(
    equation: Equation, times: Sequence[float], tolerance: float | None, scheme: str
) -> None:
    """Raises ValueError unless an equation with noise is solved in equal steps of ETDRK2."""
    if not equation.forced:
        raise ValueError(
            f"expected no noise for {type(equation).__name__}, which takes no forcing, got some; "
            "leave it out"
        )
    if scheme != "etdrk2" or tolerance is not None:
        raise ValueError(
            f"expected scheme 'etdrk2' and a step alone with noise, got {scheme!r} and tolerance "
            f"{tolerance}; leave both out"
        )
    if len(times) > 2**BITS:
        raise ValueError(
            f"expected at most {2**BITS} times with noise, got {len(times)}; keep fewer"
        )


def check_sight(scheme: str, at_rest: Tensor, symbol: Tensor) -> None:
    """Raises ValueError where N(0, f) acts on waves that decay: RK4's estimate does not see it.

    Its stages at the end of a step agree wherever N does not depend on the state, so that steps
    grow until such a wave is far off.
    """
    if bool(((at_rest != 0) & (symbol != 0)).any()):
        raise ValueError(
            f"expected a scheme whose error estimate sees steady forcing for a tolerance, got "
            f"{scheme!r}; choose ifrk54, or give a step alone"
        )
