r"""Physics: do generated fields obey the equation, and do they hold what the solver's hold?

Budgets, for one frame. Every member has an amount of

    energy       <|velocity|^2> / 2, of a vorticity on a plane
    variance     <z^2> / 2, z = (u - mean) / sigma: of a vorticity, its enstrophy
    dissipation  <|grad z|^2> / 2, over the solver's mean: of a vorticity, its palinstrophy; times
                 twice the viscosity it is what viscosity drains (`solvers.budgets`)

and the laws of these amounts are compared: `energy_w1`, `variance_w1`, `dissipation_w1` are
Wasserstein-1 distances, over the standard deviation of the solver's amounts that they are compared
with. A mean that is right is not enough: a surrogate may make every member average.

The residual, for several frames of one member. Where nothing random acts between frames, the
solver's own flow Phi must take each to the next:

    r(member) = sqrt( sum_i |Phi(u_i) - u_{i+1}|^2 / sum_i |u_{i+1}|^2 ),

over all channels, Phi being the study's integrator, with its grid, scheme and tolerance. No finite
differences: their error would be larger than most residuals. `Residual` keeps r(member)^2, and the
score is the root of the scored members' mean; a split of solver members gives the solver's own,
which is not 0, since its frames were stored in single precision and stiff or chaotic flows
amplify; value over floor is how much worse the generated frames are.

There is no score for the divergence: the velocity of a vorticity, u = (psi_y, -psi_x), has none by
construction, however wrong the vorticity.

    Boffetta, Ecke, Annu. Rev. Fluid Mech. 44 (2012), doi:10.1146/annurev-fluid-120710-101240
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.scores import SampleScore
from pushforward.sliced import wasserstein
from pushforward.solvers import Equation, Grid, Problem, ResolutionWarning, integrate
from pushforward.solvers.diagnostics import energy_spectrum, gradients
from pushforward.yardstick import Yardstick


def energy(
    fields: Float[Tensor, "member ..."], yardstick: Yardstick
) -> Float[Tensor, "member 1"] | None:
    """Every member's kinetic energy, of standardised vorticities; None for other variables.

    >>> grid = Grid((8, 8))
    >>> energy(torch.zeros(2, 8, 8), Yardstick.fit(torch.randn(4, 8, 8), grid)) is None
    True
    """
    if not yardstick.energy:
        return None
    return energy_spectrum(yardstick.standardise(fields), yardstick.grid).sum(1, keepdim=True)


def variance(
    fields: Float[Tensor, "member ..."], yardstick: Yardstick
) -> Float[Tensor, "member 1"]:
    """Half of every member's mean square about the solver's mean, in the solver's variances.

    >>> u = torch.randn(64, 8, 8)
    >>> round(variance(u, Yardstick.fit(u, Grid((8, 8)))).mean().item(), 6)
    0.5
    """
    return yardstick.standardise(fields).square().flatten(1).mean(1, keepdim=True) / 2


def dissipation(
    fields: Float[Tensor, "member ..."], yardstick: Yardstick
) -> Float[Tensor, "member 1"]:
    """Half of every member's mean square slope, all axes, in the solver's own.

    >>> u = torch.randn(64, 8, 8)
    >>> round(dissipation(u, Yardstick.fit(u, Grid((8, 8)))).mean().item(), 6)
    0.5
    """
    slopes = gradients(fields.double(), yardstick.grid) / yardstick.slope
    return slopes.square().flatten(1).mean(1, keepdim=True) / 2


def amount_distance(
    amounts: Float[Tensor, "member amount"],
    a: Float[Tensor, "draw member"],
    b: Float[Tensor, "draw member"],
) -> Float[Tensor, " draw"]:
    """Wasserstein-1 between amounts counted by a and by b, over the deviation of those of b.

    Of several amounts it is the mean.

    >>> x = torch.tensor([[3.0], [5.0], [0.0], [2.0]])
    >>> amount_distance(x, torch.tensor([[1.0, 1, 0, 0]]), torch.tensor([[0.0, 0, 1, 1]])).item()
    3.0
    """
    x, w = amounts.double(), b.double() / b.sum(1, keepdim=True)
    mean = w @ x
    # of differences, or one huge member of a would leave nothing of the digits of b's variance
    variance = torch.stack([p @ (x - m).square() for p, m in zip(w, mean, strict=True)])
    return (wasserstein(x, a, b) / variance.clamp_min(1e-300).sqrt()).mean(1)


def flows(problem: Problem) -> bool:
    """Whether a state alone determines all later ones: no noise and no drawn forcing in between.

    >>> from pushforward.solvers import GaussianField, NavierStokes
    >>> field = GaussianField.matern(4.0, 0.3, deviation=1.0)
    >>> problem = Problem(Grid((16, 16)), NavierStokes(), field, step=0.1)
    >>> flows(problem), flows(Problem(Grid((16, 16)), NavierStokes(), None, field, step=0.1))
    (True, False)
    """
    return (
        isinstance(problem.equation, Equation)
        and problem.noise is None
        and problem.forcing is None
    )


def residuals(
    fields: Float[Tensor, "member frame channel ..."],
    problem: Problem,
    times: Sequence[float],
    grid: Grid | None = None,
) -> Float[Tensor, " member"]:
    """r of every member, from its frames (member, frame, channel, *grid) at increasing `times`.

    `grid` is the one that the fields lie on, by default the problem's. What the equation cannot
    hold (waves beyond its 2/3 rule, a mean vorticity) is left in the frames and counts. A member
    that blows up has r = inf.

    Raises ValueError for problems that a state does not determine, and for less than two frames.

    >>> from pushforward.solvers import Burgers, GaussianField
    >>> start = GaussianField.matern(4.0, 0.5, deviation=1.0, cutoff=5)
    >>> problem = Problem(Grid((64,)), Burgers(), start, times=(0.5, 1.0), tolerance=1e-5)
    >>> u = problem.solve(range(2))
    >>> r = residuals(u, problem, problem.times)
    >>> late = residuals(u, problem, (0.5, 1.1))
    >>> bool((r < 1e-4).all()), bool((late > 1e-3).all())
    (True, True)
    """
    if not flows(problem):
        raise ValueError(
            "expected an evolution that the state determines, got "
            f"{type(problem.equation).__name__} with noise, a drawn forcing or no time; leave the "
            "residual out"
        )
    if fields.shape[1] < 2 or fields.shape[1] != len(times):
        raise ValueError(
            f"expected at least 2 frames and as many times, got {fields.shape[1]} and "
            f"{len(times)}; give several frames of one trajectory"
        )
    grid = grid or problem.grid
    states = fields.double()
    moved = torch.stack(
        [_moved(states[:, i], problem, grid, b - a) for i, (a, b) in enumerate(pairwise(times))], 1
    )
    wrong = (moved - states[:, 1:]).square().flatten(1).sum(1)
    r = (wrong / states[:, 1:].square().flatten(1).sum(1)).sqrt()
    return torch.where(r.isfinite(), r, torch.inf)


def _moved(states: Tensor, problem: Problem, grid: Grid, duration: float) -> Tensor:
    """Phi of states (member, channel, *grid); nothing finite where one blows up."""
    solved_on = problem.solved_on if problem.solved_on.size > grid.size else grid
    kind = torch.float32 if problem.dtype == "float32" else torch.float64
    start = grid.resample(states, solved_on).to(kind)
    try:
        moved = _flow(problem, solved_on, start, duration)
    except FloatingPointError:  # a wrong member must not take the others with it
        parts = [_flow_or_nothing(problem, solved_on, one[None], duration) for one in start]
        moved = torch.cat(parts)
    return solved_on.resample(moved.double(), grid)


def _flow(problem: Problem, grid: Grid, start: Tensor, duration: float) -> Tensor:
    with warnings.catch_warnings():  # rough frames are scored elsewhere
        warnings.simplefilter("ignore", ResolutionWarning)
        return integrate(
            cast(Equation, problem.equation),  # `flows` has seen to it
            grid,
            start,
            times=(duration,),
            step=problem.step,
            tolerance=problem.tolerance,
            scheme=problem.scheme,
        )[:, 0]


def _flow_or_nothing(problem: Problem, grid: Grid, start: Tensor, duration: float) -> Tensor:
    try:
        return _flow(problem, grid, start, duration)
    except FloatingPointError:
        return torch.full_like(start, torch.inf)


def residual_size(
    squares: Float[Tensor, "member 1"],
    a: Float[Tensor, "draw member"],
    b: Float[Tensor, "draw member"],
) -> Float[Tensor, " draw"]:
    """The root of the mean of the squared residuals counted by a; b is not asked.

    >>> one = torch.ones(1, 2)
    >>> residual_size(torch.tensor([[1.0], [7.0]]), one, one).item()
    2.0
    """
    return (a.double() @ squares.double() / a.sum(1, keepdim=True))[:, 0].sqrt()


SCORES = (
    SampleScore("energy_w1", "Energy of members, W₁", "σ", energy, amount_distance),
    SampleScore("variance_w1", "Variance of members, W₁", "σ", variance, amount_distance),
    SampleScore("dissipation_w1", "Dissipation of members, W₁", "σ", dissipation, amount_distance),
)
