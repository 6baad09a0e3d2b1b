r"""How likely, and how high: probabilities of exceedance and return levels, with intervals.

A probability is the share of members that lie above a threshold; its interval is Clopper and
Pearson's. Where the threshold is itself a quantile of other members (the solver's 99th percentile,
say), it is known as well as these are many, and the interval widens by that: see `intervals`.

The level of period T is what one member in T exceeds, the quantile 1 - 1/T. Order statistics hold
for any law but say nothing beyond the data; the fit to the tail (see `tails`) does, as far as its
law is the tail's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pushforward import tails
from pushforward.intervals import beyond_quantile, check_confidence, places, proportion
from pushforward.labels import along, field
from pushforward.moments import quantiles, together

Given = xr.DataArray | xr.Dataset


def exceedance(
    statistic: Given,
    threshold: float | xr.DataArray | None = None,
    *,
    reference: Given | None = None,
    quantile: float | None = None,
    confidence: float = 0.95,
    dim: str = "member",
    variable: str | None = None,
) -> xr.Dataset:
    """How likely a member lies above a threshold: `probability`, with an interval `low` to `high`.

    `threshold` is a number, or an array along other dimensions; or it is the `quantile` of
    `reference`, of other members of the same statistic, and the interval counts what these leave
    open. A fixed one has Clopper and Pearson's interval. What Dask holds is counted block by
    block. A NaN makes its point's numbers NaN.

    >>> x = xr.DataArray(np.arange(100.0), dims="member", name="enstrophy")
    >>> found = exceedance(x, 89.5)
    >>> [round(found[name].item(), 3) for name in ("probability", "low", "high")]
    [0.1, 0.049, 0.176]
    >>> other = exceedance(x, reference=x[::2] + 0.5, quantile=0.9)
    >>> [round(other[name].item(), 3) for name in ("probability", "low", "high")]
    [0.11, 0.008, 0.235]
    """
    x = along(field(statistic, variable), dim)
    check_confidence(confidence)
    about: dict[str, Any] = {"confidence": confidence, "members": x.sizes[dim]}
    if reference is None:
        if threshold is None or quantile is not None:
            raise ValueError(
                "expected a threshold, or a reference and its quantile, got "
                f"{'a quantile' if quantile else 'neither'}; give one of the two"
            )
        above = _above(x, threshold, dim)
        ends = _ends(partial(proportion, total=x.sizes[dim], confidence=confidence), above, [])
        return _probability(
            above, ends, x, dim, threshold, about | {"interval": "Clopper-Pearson"}
        )
    if threshold is not None or quantile is None or not 0 < quantile < 1:
        raise ValueError(
            f"expected a quantile of the reference between 0 and 1, got {quantile} and threshold "
            f"{threshold}; give quantile= in place of a threshold"
        )
    y = together(along(field(reference, variable), dim), dim)
    for one in x.dims:
        if one != dim and one in y.dims and x.sizes[one] != y.sizes[one]:
            raise ValueError(
                f"expected a reference with the {one} of the members, {x.sizes[one]} of them, got "
                f"{y.sizes[one]}; choose common ones of both with .sel({one}=...)"
            )
    level = quantiles(y, quantile, dim, confidence=confidence).value.drop_vars("quantile")
    ranks, likely = places(y.sizes[dim], quantile)
    beyond = _beyond(x, y, ranks, dim)
    count = partial(beyond_quantile, likely=likely, total=x.sizes[dim], confidence=confidence)
    about |= {"reference_members": y.sizes[dim], "quantile": quantile}
    about |= {"interval": "Clopper-Pearson, over the places of the reference's quantile"}
    return _probability(
        _above(x, level, dim), _ends(count, beyond, ["rank"]), x, dim, level, about
    )


def return_levels(
    statistic: Given,
    periods: Sequence[float],
    *,
    confidence: float = 0.95,
    tail: float | None = None,
    dim: str = "member",
    variable: str | None = None,
) -> xr.Dataset:
    """The levels that one member in `periods` exceeds, along `period`, in two ways.

    `level`, `low`, `high` are order statistics, infinite where there are too few members to say.
    `fitted`, `fitted_low`, `fitted_high` are of a generalised Pareto law fitted to the largest
    members, a share `tail` of them (a tenth; see `tails.tail_size`), with the interval of the
    profile likelihood; NaN where there are less than 60 members, or the period lies within the
    data below the tail. Of Dask's arrays all members of a point are brought together.

    >>> draws = -np.log1p(-(np.arange(2000) + 0.5) / 2000)                      # exponential
    >>> found = return_levels(xr.DataArray(draws, dims="member"), [100, 10000])
    >>> np.log([100, 10000]).round(2), found.fitted.values.round(1)
    (array([4.61, 9.21]), array([4.6, 9. ]))
    >>> bool(found.high.isel(period=1) == np.inf)
    True
    """
    x = together(along(field(statistic, variable), dim), dim)
    asked = np.asarray(periods, float)
    if asked.ndim != 1 or not asked.size or not (asked > 1).all():
        raise ValueError(f"expected periods > 1, in members, got {periods}; give a list of them")
    size = tails.tail_size(x.sizes[dim], tail)
    known = quantiles(x, list(1 - 1 / asked), dim, confidence=confidence)
    out = known.rename(quantile="period", value="level").assign_coords(period=asked)
    fitted = xr.apply_ufunc(
        tails.levels,
        x,
        kwargs={"periods": asked, "size": size, "confidence": check_confidence(confidence)},
        input_core_dims=[[dim]],
        output_core_dims=[["end", "period"]],
        vectorize=True,
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"end": 3, "period": len(asked)}},
    )
    words = ("level by the fit", "lower end", "upper end")
    about = {key: x.attrs[key] for key in ("units",) if key in x.attrs}
    for i, name in enumerate(("fitted", "fitted_low", "fitted_high")):
        out[name] = fitted.isel(end=i).assign_attrs(about, long_name=words[i])
    out.period.attrs = {"long_name": "members of which one lies above", "units": "1"}
    return out.assign_attrs(tail_members=size, fit="generalised Pareto, profile likelihood")


def _above(x: xr.DataArray, threshold: Any, dim: str) -> xr.DataArray:
    """How many members lie above; NaN where one of them is."""
    if isinstance(threshold, xr.DataArray) and dim in threshold.dims:
        raise ValueError(
            f"expected a threshold without {dim}, got {tuple(threshold.dims)}; give a number, or "
            "other members as reference= with quantile="
        )
    known = x.notnull().all(dim)
    level = xr.DataArray(threshold)
    return (x > level).sum(dim).where(known & level.notnull())


def _beyond(x: xr.DataArray, y: xr.DataArray, ranks: NDArray[np.int64], dim: str) -> xr.DataArray:
    """How many members lie above the order statistics of others, of rank 0 to their number + 1."""
    sorted_y = xr.apply_ufunc(
        np.sort,
        y.astype(float),
        input_core_dims=[[dim]],
        output_core_dims=[["rank"]],
        exclude_dims={dim},
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"rank": y.sizes[dim]}},
    )
    known = x.notnull().all(dim) & y.notnull().all(dim)
    counts: list[xr.DataArray] = []
    for rank in ranks:
        if 0 < rank <= y.sizes[dim]:
            count = (x > sorted_y.isel(rank=rank - 1)).sum(dim)
        else:
            count = xr.zeros_like(known, int) + (x.sizes[dim] if rank == 0 else 0)
        counts.append(count.where(known))
    found = xr.concat(counts, "rank", coords="minimal", compat="override")
    return found.chunk(rank=-1) if found.chunks else found


def _ends(count: Any, counts: xr.DataArray, core: list[str]) -> tuple[xr.DataArray, xr.DataArray]:
    """The ends of an interval, of counts."""
    return xr.apply_ufunc(
        count,
        counts,
        input_core_dims=[core],
        output_core_dims=[[], []],
        dask="parallelized",
        output_dtypes=[np.float64, np.float64],
    )


def _probability(
    above: xr.DataArray,
    ends: tuple[xr.DataArray, xr.DataArray],
    x: xr.DataArray,
    dim: str,
    threshold: Any,
    about: dict[str, Any],
) -> xr.Dataset:
    name = x.attrs.get("long_name") or x.name or "the statistic"
    of = f"of {name} above the threshold"
    known = above.notnull()
    values = {
        "probability": (above / x.sizes[dim], f"probability {of}"),
        "low": (ends[0].where(known), "lower end of its interval"),
        "high": (ends[1].where(known), "upper end of its interval"),
    }
    named = {
        key: value.assign_attrs(long_name=words, units="1")
        for key, (value, words) in values.items()
    }
    if isinstance(threshold, xr.DataArray):  # a single time of it may be one of many here
        threshold = threshold.drop_vars([one for one in threshold.coords if one in x.dims])
    return xr.Dataset(named, attrs=about).assign_coords(threshold=threshold)
