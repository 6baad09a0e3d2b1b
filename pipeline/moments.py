r"""What members are like one by one: moments, quantiles and spread of labelled arrays.

Moments come from one pass over the members, so that an ensemble of any size can be asked block by
block: with c the mean of the first few members,

    mu_k = sum_j binom(k, j) (-d)^(k-j) <(x - c)^j>,    d = <x - c>,

in float64. Standard errors follow from the influence of one member, z = (x - mean) / deviation, on

    mean         z sigma                        deviation    sigma (z^2 - 1) / 2
    skewness g   z^3 - g - 3 z - 3 g (z^2 - 1) / 2
    kurtosis b   z^4 - b - 4 g z - 2 b (z^2 - 1)

as the root of its mean square over the members: no normal law is assumed (for one they are the
known sqrt(6 / n) of the skewness and sqrt(24 / n) of the kurtosis).

A quantile has to see all members of a point at once, which moments do not: see `together`.

    Kendall, Stuart, The Advanced Theory of Statistics 1 (1977), chapter 10
    Hampel, J. Am. Stat. Assoc. 69 (1974), doi:10.1080/01621459.1974.10482962
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pushforward.intervals import check_confidence, order_statistics
from pushforward.labels import along, field, space

FIRST = 32  # members whose mean is subtracted before powers are summed
WORDS = {
    "mean": "mean",
    "deviation": "standard deviation",
    "skewness": "skewness, 0 for a normal law",
    "kurtosis": "kurtosis, 3 for a normal law",
}


def moments(
    u: xr.DataArray | xr.Dataset, dim: str = "member", *, variable: str | None = None
) -> xr.Dataset:
    """Mean, (unbiased) deviation, skewness and kurtosis over the members, each with its error.

    `mean_error` and so on are standard errors. All other dimensions stay; what Dask holds stays
    lazy, and is read once. A NaN makes those of its point NaN.

    >>> normal = np.random.default_rng(0).normal(3.0, 2.0, size=(10000, 2))
    >>> found = moments(xr.DataArray(normal, dims=("member", "x")))
    >>> bool((abs(found["mean"] - 3) < 4 * found.mean_error).all())
    True
    """
    x = along(field(u, variable), dim)
    n, powers = x.sizes[dim], _powers(x, dim)
    m = _central(powers, 8)
    varies = m[2] != 0
    z = {k: m[k] / m[2].where(varies, 1.0) ** (k / 2) for k in range(1, 9)}
    skew, kurt, sigma = z[3].where(varies), z[4].where(varies), np.sqrt(m[2])
    influence = {
        "mean": {1: 1.0},
        "deviation": {0: -0.5, 2: 0.5},
        "skewness": {0: 0.5 * skew, 1: -3.0, 2: -1.5 * skew, 3: 1.0},
        "kurtosis": {0: kurt, 1: -4 * skew, 2: -2 * kurt, 4: 1.0},
    }
    values = {
        "mean": powers[0] + powers[1],
        "deviation": sigma * math.sqrt(n / (n - 1)) if n > 1 else sigma * np.nan,
        "skewness": skew,
        "kurtosis": kurt,
    }
    units, out = x.attrs.get("units"), xr.Dataset(attrs={"members": n})
    for name, value in values.items():
        scale = sigma if name in ("mean", "deviation") else 1.0
        error = scale * np.sqrt(_square(influence[name], {0: 1.0, **z}) / n)
        about = {"units": units} if units and name in ("mean", "deviation") else {"units": "1"}
        out[name] = value.assign_attrs(long_name=_of(WORDS[name], x), **about)
        out[f"{name}_error"] = error.assign_attrs(
            long_name=f"standard error of the {WORDS[name].partition(',')[0]}", **about
        )
    return out.drop_vars(dim, errors="ignore")


def quantiles(
    u: xr.DataArray | xr.Dataset,
    q: float | Sequence[float],
    dim: str = "member",
    *,
    confidence: float = 0.95,
    variable: str | None = None,
) -> xr.Dataset:
    """Quantiles over the members, `value`, with intervals `low` to `high` that hold for any law.

    The ends are order statistics (see `intervals`), infinite where there are too few members to
    say. A scalar `q` leaves a coordinate, several a dimension `quantile`. Of Dask's arrays all
    members of a point are brought together: reduce fields to amounts before, where these do not
    fit in memory.

    >>> found = quantiles(xr.DataArray(np.arange(1.0, 101.0), dims="member"), 0.5)
    >>> found.low.item(), found.value.item(), found.high.item()
    (40.0, 50.5, 61.0)
    """
    x = together(along(field(u, variable), dim), dim)
    asked = np.atleast_1d(np.asarray(q, float))
    if asked.ndim > 1 or not ((asked > 0) & (asked < 1)).all():
        raise ValueError(
            f"expected quantiles between 0 and 1, got {q}; give shares of the members"
        )
    ranks = order_statistics(x.sizes[dim], asked, check_confidence(confidence))
    found = xr.apply_ufunc(
        _ordered,
        x,
        kwargs={"q": asked, "ranks": ranks},
        input_core_dims=[[dim]],
        output_core_dims=[["end", "quantile"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"end": 3, "quantile": len(asked)}},
    )
    about = {key: x.attrs[key] for key in ("units",) if key in x.attrs}
    names = {"value": "quantile", "low": "lower end", "high": "upper end"}
    out = xr.Dataset(
        {
            name: found.isel(end=i).assign_attrs(about | {"long_name": _of(words, x)})
            for i, (name, words) in enumerate(names.items())
        },
        {"quantile": asked},
        {"confidence": confidence, "members": x.sizes[dim], "interval": "order statistics"},
    )
    return out if np.ndim(q) else out.isel(quantile=0)


def spread(
    u: xr.DataArray | xr.Dataset,
    dim: str = "member",
    *,
    over: Sequence[str] | None = None,
    variable: str | None = None,
) -> xr.DataArray:
    """How far members lie from their mean: the root of their variance, averaged over the grid.

    `over` are the dimensions that are averaged over, by default those of the grid; () keeps every
    point. The variance is unbiased. What Dask holds stays lazy, and is read once.

    >>> u = xr.DataArray([[0.0, 0.0], [2.0, 4.0]], dims=("member", "x"))
    >>> spread(u, over=()).values.round(3), round(spread(u).item() ** 2, 9)
    (array([1.414, 2.828]), 5.0)
    """
    x = along(field(u, variable), dim)
    n = x.sizes[dim]
    if n < 2:
        raise ValueError("expected at least 2 members for a spread, got 1; give more of them")
    variance = _central(_powers(x, dim, 2), 2)[2] * (n / (n - 1))
    mean = variance.mean(space(x) if over is None else list(over), skipna=False)
    about = {key: x.attrs[key] for key in ("units",) if key in x.attrs}
    return np.sqrt(mean).rename("spread").assign_attrs(about, long_name=_of("spread", x))


def together(x: xr.DataArray, dim: str) -> xr.DataArray:
    """The array with all members of a point in one chunk of Dask's, cut along the others instead.

    >>> u = xr.DataArray(np.zeros((8, 4)), dims=("member", "x")).chunk(member=2)
    >>> together(u, "member").chunks
    ((8,), (4,))
    """
    if not x.chunks or len(x.chunksizes[dim]) == 1:
        return x
    sizes: Mapping[Any, Any] = {one: -1 if one == dim else "auto" for one in x.dims}
    return x.chunk(sizes)


def _powers(x: xr.DataArray, dim: str, last: int = 8) -> dict[int, Any]:
    """Means of (x - c)^k over a dimension, and at 0 c itself."""
    first = x.isel({dim: slice(FIRST)}).astype(float).mean(dim, skipna=False)
    away = x.astype(float) - first
    power, found = away, {0: first, 1: away.mean(dim, skipna=False)}
    for k in range(2, last + 1):
        power = power * away
        found[k] = power.mean(dim, skipna=False)
    return found


def _central(powers: Mapping[int, Any], last: int) -> dict[int, Any]:
    """Moments about the mean, of those about another centre."""
    d = powers[1]
    about = {0: 1.0, **{k: powers[k] for k in range(1, last + 1)}}
    found = {
        k: sum(math.comb(k, j) * (-d) ** (k - j) * about[j] for j in range(k + 1))
        for k in range(1, last + 1)
    }
    found[2] = np.maximum(found[2], 0)
    return found


def _square(polynomial: Mapping[int, Any], z: Mapping[int, Any]) -> Any:
    """The mean square of a polynomial in z, of the means of its powers."""
    pairs = [(i, j) for i in polynomial for j in polynomial]
    total = sum(polynomial[i] * polynomial[j] * (z[i + j] if i + j else 1.0) for i, j in pairs)
    return total.clip(min=0)  # type: ignore[union-attr]  (z is an array of every power but 0)


def _ordered(
    x: NDArray[Any], q: NDArray[np.float64], ranks: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The q-quantile and the order statistics of two ranks, along the last axis."""
    s = np.sort(x.astype(np.float64), axis=-1)
    missing = np.isnan(s[..., -1])  # sorted to the end
    ends = np.full((*s.shape[:-1], 1), np.inf)
    padded = np.concatenate([-ends, s, ends], axis=-1)
    values = np.moveaxis(np.quantile(s, q, axis=-1), 0, -1)
    found = np.stack([values, padded[..., ranks[0]], padded[..., ranks[1]]], axis=-2)
    found[missing] = np.nan
    return found


def _of(words: str, x: xr.DataArray) -> str:
    """Words about an array, with what it is where it says so."""
    name = x.attrs.get("long_name") or x.name
    return f"{words} of {name}" if name else words
