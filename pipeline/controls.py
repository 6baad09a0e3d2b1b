r"""Controls: what the scores say, on this data set, of copies that are wrong on purpose.

A score that refuses nothing proves nothing. So for every evaluation solver members that stand on
neither side of it are spoilt in ways that a surrogate may be wrong in, and scored as it is:

    another set            as they are: nothing is wrong, and chance alone speaks
    random phases          every wave of a member is moved by a random phase, the same for all
                           variables: spectra and cross spectra stay, structures go
    2/3 low-pass           two thirds of the waves that a solver with the 2/3 rule keeps
    10% white noise        of the members' standard deviation, added at every point
    few members, repeated  an eighth of them, each as often
    training copy          members that were learnt from, moved where the law allows it

The Gaussian surrogate, a control as well, is scored in full beside the trained one. At most 128
members a side are looked at, and as few as 2^23 numbers hold: a mistake that so few members show
is large. The makers are functions of members (member, variable, *grid) and give float32.

    Theiler et al. (random phases), Physica D 58 (1992), doi:10.1016/0167-2789(92)90102-S
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from pushforward.floors import measure
from pushforward.members import Members
from pushforward.solvers import Grid
from pushforward.solvers.normals import Use, normals
from pushforward.solvers.white_noise import white

FILE = "controls.json"
RIGHT = "another set"
WRONG = {
    "random phases": "spectra and cross spectra kept, every structure lost",
    "2/3 low-pass": "the smallest third of the scales cut off",
    "10% white noise": "a tenth of the standard deviation added at every point",
    "few members, repeated": "an eighth of the members, each eight times: collapsed modes",
    "training copy": "members that were learnt from, moved where the law allows it",
}
MEMBERS, SPLITS, NUMBERS = 128, 100, 2**23  # of a side, of the floor, of a side's values: at most

Fields = Float[Tensor, "member variable ..."]


def random_phases(fields: Fields, grid: Grid, seed: int = 0) -> Fields:
    """Every wave but the mean moved by a phase of its own, the same for all variables.

    >>> grid, u = Grid((8, 8)), torch.randn(3, 2, 8, 8)
    >>> power = [grid.fft(x.double()).abs() for x in (u, random_phases(u, grid))]
    >>> torch.allclose(*power, atol=1e-6)
    True
    """
    noise = white(range(len(fields)), grid, seed, Use.VALIDATION)
    size = noise.abs()
    turn = torch.where(size > 0, noise / size.clamp_min(1e-300), torch.ones_like(noise))
    turn.flatten(1)[:, 0] = 1
    return grid.ifft(grid.fft(fields.double()) * turn[:, None]).float()


def low_pass(fields: Fields, grid: Grid, share: float = 4 / 9) -> Fields:
    """The waves with |k_i| < share N_i / 2 on every axis: of what the 2/3 rule keeps, 2/3.

    >>> grid = Grid((8,))
    >>> wave = torch.cos(3 * grid.coordinates()[0])[None, None]
    >>> low_pass(wave, grid).abs().max().item() < 1e-6
    True
    """
    return grid.ifft(grid.fft(fields.double()) * grid.resolved(share)).float()


def noisy(fields: Fields, grid: Grid, share: float = 0.1, seed: int = 0) -> Fields:
    """White noise added, of a share of every variable's standard deviation.

    >>> grid, u = Grid((64, 64)), torch.randn(4, 1, 64, 64)
    >>> round((noisy(u, grid) - u).std().item() / u.std().item(), 2)
    0.1
    """
    points = [
        torch.arange(n).view(-1, *[1] * (-1 - a))
        for a, n in zip(grid.axes, grid.shape, strict=True)
    ]
    parts = []
    for v in range(fields.shape[1]):
        noise = normals(seed, Use.VALIDATION, range(len(fields)), points, step=1 + v).real
        parts.append(fields[:, v] + share * fields[:, v].double().std() * noise)
    return torch.stack(parts, 1).float()


def repeated(fields: Fields, count: int) -> Fields:
    """The first `count` members again and again, as many as there were.

    >>> repeated(torch.arange(5.0)[:, None, None], 2).flatten()
    tensor([0., 1., 0., 1., 0.])
    """
    return fields[torch.arange(len(fields)) % count].float()


def moved(fields: Fields, grid: Grid, translations: bool = True) -> Fields:
    """Members shifted along every axis, by a third of it and one point more.

    >>> moved(torch.arange(4.0)[None, None], Grid((4,))).flatten()
    tensor([2., 3., 0., 1.])
    """
    if not (translations and grid.periodic):
        return fields.float()
    return fields.roll([n // 3 + 1 for n in grid.shape], grid.axes).float()


def controls(
    pool: Members,
    training: Members,
    grid: Grid,
    variables: Sequence[str],
    *,
    members: int = MEMBERS,
    translations: bool = True,
    **settings: Any,
) -> xr.Dataset | None:
    """The scores of every control, a Dataset (ensemble, variable, score) as `measure` makes it.

    The last members of the pool are the reference, the first are spoilt, and what follows these
    makes the floors, four times as many; with fewer than ten there are no controls. Settings are
    those of `measure`.

    >>> u = Members.of(torch.randn(48, 1, 8, 8))
    >>> found = controls(u[:32], u[32:], Grid((8, 8)), ["u"], splits=20)
    >>> found is not None and found.sizes["ensemble"] == 1 + len(WRONG)
    True
    """
    most = max(2, NUMBERS // (grid.size * len(variables)))
    size = min(members, MEMBERS, most, len(pool) // 5)
    if size < 2:
        return None
    settings["splits"] = min(settings.get("splits", SPLITS), SPLITS)
    taken, rest = pool.head(size), pool[size:][-4 * size :]
    learnt = training.head(2 * size)
    sets = {
        RIGHT: taken.float(),
        "random phases": random_phases(taken, grid),
        "2/3 low-pass": low_pass(taken, grid),
        "10% white noise": noisy(taken, grid),
        "few members, repeated": repeated(taken, max(1, size // 8)),
        "training copy": moved(learnt[torch.arange(size) % len(learnt)], grid, translations),
    }
    return measure(
        sets,
        None,
        rest,
        grid,
        variables,
        training=learnt,
        bootstrap=0,
        translations=translations,
        **settings,
    )


def refusals(found: xr.Dataset) -> dict[str, list[tuple[str, str]]]:
    """Of every control the (variable, score) that it is outside in."""
    refused = found.value.notnull() & ~found.inside.astype(bool)
    return {
        str(name): [
            (str(variable), str(score))
            for variable in found.variable.values
            for score in found.score.values
            if bool(refused.sel(ensemble=name, variable=variable, score=score))
        ]
        for name in found.ensemble.values
    }
