r"""Conditional ensembles: what M members say of the one truth that happened, case by case.

A case is a condition (a forcing, an initial state, observations) with its truth y; its ensemble
x_1, ..., x_M is exchangeable with it if the conditional law is right. Scores are proper, and
*fair*: their expectation does not depend on M, so ensembles of any size can be compared.

    crps            mean_m |x_m - y| - sum_{m < m'} |x_m - x_m'| / (M (M - 1)), at every point, and
                    averaged; sorted values take O(M log M)
    crps_band       the same of fields that hold the waves of one octave of shells only, [1, 2),
                    [2, 4), ..., and of their mean, band 0: at which scales is the ensemble wrong
    energy_score    the same with the norm of the whole field (root mean square over the points)
    spread_skill    sqrt((M + 1) / M) sqrt(mean var x) / sqrt(mean (mean x - y)^2), with the
                    unbiased variance: 1 when members differ from each other as they do from the
                    truth, below 1 when they are too alike
    rank_histogram  how often the truth has rank 0 ... M among the members, ties broken at random;
                    of all points. A bowl says too little spread, a slope a bias
    rank_p          the p-value of chi^2 for uniform ranks. Points of one field are not independent
                    and cases are: one point is taken of every case, at random, and neighbouring
                    ranks are joined until 5 cases are expected in each

Random choices are counter-based numbers of the seed, the case's place and the point.

    Gneiting, Raftery, J. Am. Stat. Assoc. 102 (2007), doi:10.1198/016214506000001437
    Ferro (fair scores), Q. J. R. Meteorol. Soc. 140 (2014), doi:10.1002/qj.2270
    Fortin et al. (spread and skill), J. Hydrometeorol. 15 (2014), doi:10.1175/JHM-D-14-0008.1
    Hamill (rank histograms), Mon. Weather Rev. 129 (2001),
    doi:10.1175/1520-0493(2001)129<0550:IORHFV>2.0.CO;2
"""

from __future__ import annotations

import math

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from scipy import stats
from torch import Tensor

from pushforward.comparison import grid_of
from pushforward.labels import by_time, of_one_time, ordered, variables_of
from pushforward.solvers import Grid, Use, uniforms
from pushforward.solvers.diagnostics import shells

EXPECTED = 5  # cases in a group of ranks


def verify_forecast(
    ensemble: xr.DataArray | xr.Dataset,
    truth: xr.DataArray | xr.Dataset,
    *,
    grid: Grid | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Scores conditional ensembles (case, member, ...) against what happened (case, ...).

    The other dimensions are maybe `time` and the grid's; every variable and time is a `variable`
    of the result, which holds crps, energy_score (variable, case), crps_band (variable, band,
    case), spread_skill, rank_p (variable) and rank_histogram (variable, rank). `grid` is the box
    where the coordinates do not say it. Where both have coordinates, of cases or points, the truth
    is put in the ensemble's order.

    Raises ValueError for arrays or labels that do not fit, and for less than 2 members; TypeError
    for what is no array of real numbers with named dimensions.

    >>> rng = np.random.default_rng(0)
    >>> fields = rng.normal(size=(200, 9, 8, 8))
    >>> u = xr.DataArray(fields, dims=("case", "member", "y", "x"))
    >>> scores = verify_forecast(u[:, 1:], u[:, 0])                  # truth and members of one law
    >>> bool(scores.rank_p > 0.01), round(scores.spread_skill.item(), 1)
    (True, 1.0)
    >>> bool(verify_forecast(0.5 * u[:, 1:], u[:, 0]).rank_p < 1e-3)     # too sure
    True
    """
    given, happened = _labelled(ensemble, "ensemble"), _labelled(truth, "truth")
    if {*given} != {*happened}:
        raise ValueError(
            f"expected the variables {list(given)} of the ensemble in the truth, got "
            f"{list(happened)}; choose common ones"
        )
    of_one_time({"the ensemble": given, "the truth": happened})
    tables = []
    for number, name in enumerate(given):
        x, y = _fitting(given[name], happened[name], name)
        points = [dim for dim in y.dims if dim != "case"]
        if len(points) > 3:
            raise ValueError(
                f"expected at most 3 dimensions of a grid beside case, member and time, got "
                f"{points} in {name}; choose with .isel, or stack them as cases"
            )
        box = grid_of(y.rename(case="member"), grid) if points else None
        fields, values = _tensor(x), _tensor(y)
        tables.append(_table(fields, values, box, seed, number))
    out = xr.concat(tables, "variable").assign_coords(variable=list(given))
    first = next(iter(given.values()))
    if "case" in first.coords:
        out = out.assign_coords(case=first["case"])
    return out.assign_attrs(seed=seed, members=first.sizes["member"])


def crps(
    x: Float[Tensor, "case member ..."], y: Float[Tensor, "case ..."]
) -> Float[Tensor, "case ..."]:
    """The fair continuous ranked probability score at every point.

    >>> crps(torch.tensor([[0.0, 2.0]]), torch.tensor([1.0])).item()    # 1 - 2 / (2 * 1)
    0.0
    """
    size = x.shape[1]
    place = 2 * torch.arange(size, device=x.device).to(x) - (size - 1)
    ordered = x.sort(1).values.movedim(1, -1)
    between = (ordered @ place) / (size * (size - 1))
    return (x - y[:, None]).abs().mean(1) - between


def energy_score(
    x: Float[Tensor, "case member ..."], y: Float[Tensor, "case ..."]
) -> Float[Tensor, " case"]:
    """The fair energy score of whole fields, in root mean squares over the points.

    >>> energy_score(torch.tensor([[[3.0, 3.0], [3.0, 5.0]]]), torch.tensor([[3.0, 3.0]])).item()
    0.0
    """
    size, fields = x.shape[1], x.flatten(2)
    scale = fields.shape[2] ** 0.5
    away = (fields - y.flatten(1)[:, None]).norm(dim=2).mean(1)
    # differences, not a Gram matrix: close members must not lose their distance to round-off
    between = torch.stack([torch.pdist(case).sum() for case in fields])
    return (away - between / (size * (size - 1))) / scale


def ranks(
    x: Float[Tensor, "case member point"], y: Float[Tensor, "case point"], seed: int = 0
) -> Int[Tensor, "case point"]:
    """How many members lie below the truth, ties counted as a random share of them.

    >>> ranks(torch.tensor([[[1.0], [2.0], [3.0]]]), torch.tensor([[2.5]])).item()
    2
    """
    below = (x < y[:, None]).sum(1)
    ties = (x == y[:, None]).sum(1)
    draw = uniforms(seed, Use.SCORE, range(len(y)), [torch.arange(y.shape[1])])
    return below + (draw * (ties + 1)).long()


def rank_p(rank: Int[Tensor, " case"], members: int) -> float:
    """The p-value of uniform ranks 0 ... members of independent cases; NaN for less than 10 cases.

    >>> rank_p(torch.arange(100) % 10, 9)
    1.0
    """
    count = min(members + 1, len(rank) // EXPECTED)
    if count < 2:
        return math.nan
    group = torch.arange(members + 1) * count // (members + 1)
    observed = torch.bincount(group[rank], minlength=count)
    share = torch.bincount(group).double() / (members + 1)
    return float(stats.chisquare(observed, share * len(rank)).pvalue)


def octaves(grid: Grid) -> list[tuple[int, int]]:
    """The shells [first, last) of every octave, the last one with all that is left.

    >>> octaves(Grid((32,)))
    [(1, 2), (2, 4), (4, 8), (8, 17)]
    """
    last = int(shells(grid).max()) + 1
    half = max(2, min(grid.shape) // (2 if grid.periodic else 1))
    starts = [2**i for i in range(half.bit_length()) if 2**i < half]
    return [(a, 2 * a) for a in starts[:-1]] + [(starts[-1], last)]


def _table(x: Tensor, y: Tensor, grid: Grid | None, seed: int, variable: int) -> xr.Dataset:
    """The scores of one variable."""
    points = y.flatten(1) if y.ndim > 1 else y[:, None]
    members = x.reshape(*x.shape[:2], -1)
    size, cases = x.shape[1], len(y)
    rank = ranks(members, points, seed)
    place = uniforms(seed, Use.SCORE, range(cases), [torch.zeros(1).long()], step=1 + variable)
    chosen = rank.gather(1, (place * points.shape[1]).long())[:, 0]
    spread = members.var(1).mean().sqrt()
    skill = (members.mean(1) - points).square().mean().sqrt()
    out = {
        "crps": ("case", crps(members, points).mean(1).numpy()),
        "energy_score": ("case", energy_score(members, points).numpy()),
        "spread_skill": ((), (((size + 1) / size) ** 0.5 * spread / skill).item()),
        "rank_histogram": ("rank", torch.bincount(rank.flatten(), minlength=size + 1).numpy()),
        "rank_p": ((), rank_p(chosen, size)),
    }
    if grid is None:
        return xr.Dataset(out)
    number, parts = shells(grid), []
    bands = [(0, 1), *octaves(grid)]
    for first, last in bands:
        kept = ((number >= first) & (number < last)).double()
        band = [grid.ifft(grid.fft(u) * kept) for u in (x, y)]
        parts.append(crps(*band).flatten(1).mean(1).numpy())
    names = [f"{first}-{last - 1}" if last - first > 1 else str(first) for first, last in bands]
    return xr.Dataset(out | {"crps_band": (("band", "case"), np.stack(parts))}, {"band": names})


def _labelled(given: xr.DataArray | xr.Dataset, what: str) -> dict[str, xr.DataArray]:
    """Arrays by label; every time is a variable of its own."""
    found = {}
    for name, array in variables_of(given, f"the {what}").data_vars.items():
        if "case" not in array.dims:
            raise ValueError(
                f"expected a dimension case in {name!r} of the {what}, got {tuple(array.dims)}; "
                "rename the one that counts conditions"
            )
        found |= by_time(str(name), array, f"the {what}")
    return found


def _fitting(x: xr.DataArray, y: xr.DataArray, name: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Both with their dimensions in one order; refused unless they fit."""
    points = [dim for dim in x.dims if dim not in ("case", "member")]
    if "member" not in x.dims or x.sizes["member"] < 2:
        raise ValueError(
            f"expected at least 2 members a case in {name!r}, got {dict(x.sizes)}; fair scores "
            "need the distance between members"
        )
    if {*y.dims} != {"case", *points} or any(y.sizes[dim] != x.sizes[dim] for dim in y.dims):
        raise ValueError(
            f"expected a truth of {name!r} with the sizes of one member, "
            f"{ {dim: n for dim, n in x.sizes.items() if dim != 'member'} }, got {dict(y.sizes)}; "
            "select the cases and restrict both to one grid"
        )
    y = ordered(y.transpose("case", *points), x, f"the truth of {name!r}", "the ensemble")
    return x.transpose("case", "member", *points), y


def _tensor(array: xr.DataArray) -> Tensor:
    values = torch.from_numpy(np.array(array.values, dtype=np.float64))
    if not bool(torch.isfinite(values).all()):
        raise ValueError(
            f"expected finite fields, got NaN or infinity in {array.name!r}; finish or repair the "
            "ensemble first"
        )
    return values
