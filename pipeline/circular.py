r"""Circular statistics of phases: how far, and how lopsidedly, the angles of a field spread.

An angle has no mean as a number; exp(i theta) has. With the trigonometric moments of a field,

    R_p exp(i T_p) = <exp(i p theta)>,      <> the mean over its points,

    circular variance   1 - R_1                                     0 of one angle, 1 of none
    circular skewness   R_2 sin(T_2 - 2 T_1) / (1 - R_1)^(3/2)      0 of a symmetric law

Neither changes when all angles turn by the same. GANO and DDO compare interferograms by them: the
Wasserstein-1 distance between the distributions of each over the members of two ensembles, and the
two distances' sum. They see no order of the points: any spectrum, also noise at single pixels,
may have the right ones, so a spectrum belongs beside them.

Phases come as cosine and sine (of any length: they are divided by it), as complex numbers, or as
angles in radians.

    Mardia, Jupp, Directional Statistics (2000), section 3.4, doi:10.1002/9780470316979
    Rahman et al., Generative adversarial neural operators (2022), arXiv:2205.03017
    Lim et al., Score-based diffusion models in function space (2023), arXiv:2302.07400
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from pushforward.labels import NUMBERS, field, space

Given = xr.DataArray | xr.Dataset
Array = NDArray[np.float64]
PARTS = ("cosine", "sine")
STATISTICS = ("circular_variance", "circular_skewness")
TOTAL = "total"
ROUNDING = 1e-12  # 1 - R_1 of a field of one angle


def circular_variance(
    given: Given, *, over: Sequence[str] | None = None, parts: tuple[str, str] = PARTS
) -> xr.DataArray:
    """1 - R_1 of every field, without the dimensions of the grid: 0 where all angles are equal.

    `given` is a Dataset with cosine and sine under the names `parts`, a complex array or one of
    angles. `over` are the dimensions whose points are taken together, by default those of the
    grid. A NaN, or a cosine and sine both 0, makes that of its field NaN; Dask's arrays stay lazy.

    Raises ValueError for a Dataset without the two parts.

    >>> angles = xr.DataArray([[0.0, 0.0], [0.0, np.pi / 2], [0.0, np.pi]], dims=("member", "x"))
    >>> circular_variance(angles).round(4).values
    array([0.    , 0.2929, 1.    ])
    """
    first = _moment(_unit(given, parts), 1, over)
    found = 1 - np.abs(first)
    return found.rename(STATISTICS[0]).assign_attrs(long_name="circular variance", units="1")


def circular_skewness(
    given: Given, *, over: Sequence[str] | None = None, parts: tuple[str, str] = PARTS
) -> xr.DataArray:
    """R_2 sin(T_2 - 2 T_1) / (1 - R_1)^(3/2) of every field, as `circular_variance`.

    It is positive where the longer tail lies at smaller angles, as the published formula has it,
    and NaN where all angles are equal.

    Raises ValueError as `circular_variance` does.

    >>> angles = xr.DataArray([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]], dims=("member", "x"))
    >>> circular_skewness(angles).round(3).values
    array([-2.03,  2.03])
    """
    unit = _unit(given, parts)
    first, second = (_moment(unit, p, over) for p in (1, 2))
    length = np.abs(first)
    varies = 1 - length > ROUNDING
    direction = first / length.where(length > 0, 1.0)
    lopsided = (second * np.conj(direction) ** 2).imag
    found = lopsided / (1 - length).where(varies) ** 1.5
    return found.rename(STATISTICS[1]).assign_attrs(long_name="circular skewness", units="1")


def circular_distances(
    a: Given,
    b: Given,
    *,
    pool: Given | None = None,
    splits: int = 200,
    bootstrap: int = 200,
    seed: int = 0,
    parts: tuple[str, str] = PARTS,
) -> xr.Dataset:
    """Wasserstein-1 distances between two ensembles' circular variances and skewnesses.

    `value` along `statistic` (the two, and their sum `total`), and `error`, its standard error
    from `bootstrap` resamples of the members of both. With a `pool` of solver members, `floor` is
    the mean distance between two disjoint sets of it, as large as a and b, over `splits` draws,
    and `floor_high` their 95% quantile: what is below is no difference.

    Raises ValueError for fields without a statistic (see there), for more dimensions than members
    and a grid, and for a pool smaller than both together.

    >>> rng = np.random.default_rng(0)
    >>> a, b, pool = (xr.DataArray(rng.vonmises(0, k, (n, 99)), dims=("member", "x"))
    ...     for k, n in ((2.0, 40), (1.0, 40), (2.0, 90)))
    >>> found = circular_distances(a, b, pool=pool).sel(statistic="circular_variance")
    >>> bool(found.value > found.floor_high)
    True
    """
    ours, theirs = _statistics(a, parts, "a"), _statistics(b, parts, "b")
    n, m, rng = len(ours), len(theirs), np.random.default_rng(seed)
    resampled = [
        _distances(ours[rng.integers(n, size=n)], theirs[rng.integers(m, size=m)])
        for _ in range(bootstrap)
    ]
    columns = {"value": _distances(ours, theirs)}
    columns["error"] = np.std(resampled, 0, ddof=1) if bootstrap > 1 else np.full(3, np.nan)
    if pool is not None:
        drawn = _floors(_statistics(pool, parts, "the pool"), n, m, splits, rng)
        columns |= {"floor": drawn.mean(0), "floor_high": np.quantile(drawn, 0.95, axis=0)}
    words = {
        "value": "Wasserstein-1 distance",
        "error": "standard error of the distance",
        "floor": "mean distance between solver members",
        "floor_high": "95% quantile of the distance between solver members",
    }
    return xr.Dataset(
        {
            name: ("statistic", column, {"long_name": words[name], "units": "1"})
            for name, column in columns.items()
        },
        {"statistic": [*STATISTICS, TOTAL]},
        {"members": (n, m), "bootstrap": bootstrap, "seed": seed},
    )


def _floors(pool: Array, n: int, m: int, splits: int, rng: np.random.Generator) -> Array:
    if len(pool) < n + m or splits < 1:
        raise ValueError(
            f"expected a pool of at least {n} + {m} members and 1 split, got {len(pool)} and "
            f"{splits}; add members to it, or take fewer of a and b"
        )
    drawn = []
    for _ in range(splits):
        order = rng.permutation(len(pool))
        drawn.append(_distances(pool[order[:n]], pool[order[n : n + m]]))
    return np.array(drawn)


def _distances(a: Array, b: Array) -> Array:
    """The distance of each statistic, and their sum, of (member, statistic)."""
    each = [float(wasserstein_distance(x, y)) for x, y in zip(a.T, b.T, strict=True)]
    return np.array([*each, sum(each)])


def _statistics(given: Given, parts: tuple[str, str], what: str) -> Array:
    """Both statistics of every member, (member, statistic)."""
    asked: tuple[Callable[..., xr.DataArray], ...] = (circular_variance, circular_skewness)
    found = [ask(given, parts=parts) for ask in asked]
    single = [dim for dim, size in found[0].sizes.items() if size == 1 and dim != "member"]
    found = [one.isel({dim: 0 for dim in single}) for one in found]
    if found[0].dims != ("member",):
        raise ValueError(
            f"expected members and a grid in {what}, got {found[0].dims} beside the grid; choose "
            "along the others with .isel, and name members"
        )
    values = np.stack([np.asarray(one, float) for one in found], 1)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).any(1).sum())
        raise ValueError(
            f"expected fields of finite angles that are not all equal in {what}, got {bad} "
            "others; leave these out, and say so"
        )
    return values


def _unit(given: Given, parts: tuple[str, str]) -> xr.DataArray:
    """exp(i theta) at every point."""
    if isinstance(given, xr.Dataset):
        if not {*parts} <= {*given.data_vars}:
            raise ValueError(
                f"expected the variables {' and '.join(parts)}, got "
                f"{', '.join(map(str, given.data_vars))}; name them with parts="
            )
        cosine, sine = (given[name].astype(float) for name in parts)
        z = cosine + 1j * sine
    else:
        z = field(given)
        if z.dtype.kind in NUMBERS:
            angle = z.astype(float)
            return cast(xr.DataArray, np.cos(angle) + 1j * np.sin(angle))
        z = z.astype(complex)
    length: Any = np.abs(z)
    return z / length.where(length > 0)


def _moment(unit: xr.DataArray, p: int, over: Sequence[str] | None) -> Any:
    return (unit**p).mean(space(unit) if over is None else [*over], skipna=False)
