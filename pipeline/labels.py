"""What the labels of arrays say, and whether those of several arrays agree.

Arrays come from anywhere: axes in another order or stored backwards, a single time, coordinates
that single precision or a few decimals have rounded, dates, complex numbers. What can be brought
together by labels is; anything else is refused, since by place alone it would be compared with
something else.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

NUMBERS = "biuf"  # kinds of types that are real numbers
ORDERED = "iufmM"  # and of coordinates that say how far points are apart
LONG = 1e6  # times from which six digits are too few
SPACE = ("z", "y", "x")
NO_SPACE = ("member", "time", "case", "period", "quantile", "threshold")


def variables_of(given: xr.DataArray | xr.Dataset, what: str) -> xr.Dataset:
    """The Dataset of what is given as `what`; refused if there is nothing in it."""
    if isinstance(given, xr.DataArray):
        return given.to_dataset(name=given.name or "field")
    if not isinstance(given, xr.Dataset):
        raise TypeError(
            f"expected {what} to be a DataArray or a Dataset, got {type(given).__name__}; name "
            "its dimensions with xarray.DataArray(values, dims=...)"
        )
    if not given.data_vars:
        raise ValueError(
            f"expected a variable in {what}, got none; give a Dataset that holds the fields"
        )
    return given


def field(given: xr.DataArray | xr.Dataset, variable: str | None = None) -> xr.DataArray:
    """The one array that is asked: of a Dataset `variable`, or what has most dimensions of all.

    It has the boundary of its Dataset, as `comparison.grid_of` reads it.

    >>> u = xr.DataArray(np.zeros((2, 4)), dims=("member", "x"))
    >>> field(xr.Dataset({"u": u, "weight": u[:, 0]})).name
    'u'
    """
    dataset = variables_of(given, "what is asked")
    most = max(one.ndim for one in dataset.values())
    names = [str(name) for name, one in dataset.items() if one.ndim == most]
    if variable is None and len(names) > 1:
        raise ValueError(f"expected one variable, got {', '.join(names)}; choose with variable=")
    name = variable or names[0]
    if name not in dataset:
        raise ValueError(
            f"expected the variable {name}, got {', '.join(map(str, dataset))}; choose one of them"
        )
    whole = {key: value for key, value in dataset.attrs.items() if key == "boundary"}
    return dataset[name].assign_attrs(whole | dataset[name].attrs)


def space(array: xr.DataArray) -> list[str]:
    """The dimensions of the grid: z, y, x, or all but those that count members, times and cases.

    >>> space(xr.DataArray(np.zeros((2, 3, 4)), dims=("member", "lat", "lon")))
    ['lat', 'lon']
    """
    dims = [str(dim) for dim in array.dims]
    named = [dim for dim in dims if dim in SPACE]
    found = named or [dim for dim in dims if dim not in NO_SPACE]
    if not found:
        raise ValueError(
            f"expected dimensions of a grid, got {tuple(dims)}; give the fields, not what was "
            "made of them"
        )
    return found


def along(array: xr.DataArray, dim: str) -> xr.DataArray:
    """The array, if it has the dimension; refused without it, or for what are no real numbers."""
    if dim not in array.dims or not array.sizes[dim]:
        raise ValueError(
            f"expected a dimension {dim} with at least 1 along it, got {dict(array.sizes)}; "
            "rename what counts members, or name it with dim="
        )
    if array.dtype.kind not in NUMBERS:
        raise TypeError(f"expected real numbers, got {array.dtype}; convert them")
    return array


def by_time(name: str, array: xr.DataArray, what: str) -> dict[str, xr.DataArray]:
    """The array without its dimension `time`, if it has one: every time is a variable.

    A single time stays as a label, for `of_one_time`.
    """
    if array.dtype.kind not in NUMBERS:
        raise TypeError(
            f"expected real numbers in {name!r} of {what}, got {array.dtype}; convert them, or "
            "give real and imaginary parts as two variables"
        )
    if not array.size:
        raise ValueError(
            f"expected values in {name!r} of {what}, got the sizes {dict(array.sizes)}; choose at "
            "least 1 along each dimension"
        )
    if array.sizes.get("time", 1) == 1:
        return {name: array.isel(time=0) if "time" in array.dims else array}
    times = [_moment(t) for t in array["time"].values]
    if len(set(times)) < len(times):
        raise ValueError(
            f"expected times that differ in {name!r} of {what}, got {', '.join(times)}; choose "
            "among them with .isel(time=...)"
        )
    return {f"{name} at t={t}": array.isel(time=i, drop=True) for i, t in enumerate(times)}


def of_one_time(sets: Mapping[str, Mapping[str, xr.DataArray]]) -> None:
    """Refuses arrays of one name and a single time each that is not the same."""
    for name in next(iter(sets.values())):
        labels = {key: fields[name].coords.get("time") for key, fields in sets.items()}
        times = {
            key: _moment(time.values[()])
            for key, time in labels.items()
            if time is not None and not time.ndim
        }
        if len(set(times.values())) > 1:
            several = " and ".join(f"t={time} in {key}" for key, time in times.items())
            raise ValueError(
                f"expected {name!r} at one time, got {several}; choose it with .sel(time=...), or "
                "drop the label with .drop_vars('time') to compare times"
            )


def aligned(array: xr.DataArray, like: xr.DataArray, what: str) -> xr.DataArray:
    """The array with the order of dimensions, and the directions of axes, of another."""
    if {*array.dims} != {*like.dims}:
        raise ValueError(
            f"expected the dimensions {like.dims} of a in {what}, got {array.dims}; rename them "
            "with .rename, or choose along the others with .isel"
        )
    backwards = {
        dim: slice(None, None, -1)
        for dim in like.dims
        if dim != "member" and _direction(array, dim) * _direction(like, dim) < 0
    }
    return array.transpose(*like.dims).isel(backwards)


def ordered(array: xr.DataArray, like: xr.DataArray, what: str, whose: str) -> xr.DataArray:
    """The array in the order of another's coordinates, where both have some; others are refused.

    >>> a, b = (xr.DataArray(list(x), dims="x", coords={"x": list(x)}) for x in ("abc", "cab"))
    >>> "".join(ordered(b, a, "b", "a").values)
    'abc'
    """
    for dim in array.dims:
        if dim not in like.coords or dim not in array.coords:
            continue
        ours, theirs = like[dim].values, array[dim].values
        if same(ours, theirs):
            continue
        place = np.argsort(theirs)[np.argsort(np.argsort(ours))]
        if len(np.unique(ours)) < len(ours) or not same(ours, theirs[place]):
            raise ValueError(
                f"expected {what} at the {dim} of {whose}, {_few(ours)}, each once, got "
                f"{_few(theirs)}; choose common ones with xarray.align, or drop what is no label "
                f"with .drop_vars({dim!r})"
            )
        array = array.isel({dim: place})
    return array


def same(ours: NDArray[Any], theirs: NDArray[Any]) -> bool:
    """Whether coordinates are equal but for what is lost when real ones are stored.

    That is a hundredth of a step, and the rounding of their type.

    >>> same(np.array([0, 0.333, 0.667]), np.arange(3) / 3), same(np.arange(2), np.arange(2)[::-1])
    (True, False)
    """
    kinds = ours.dtype.kind + theirs.dtype.kind
    if ours.shape != theirs.shape or "f" not in kinds or any(kind not in "iuf" for kind in kinds):
        return bool(np.array_equal(ours, theirs))
    x, y = ours.astype(float), theirs.astype(float)
    rounding = max(np.finfo(v.dtype).eps for v in (ours, theirs) if v.dtype.kind == "f")
    step = np.abs(np.diff(x)).min() if len(x) > 1 else 0.0
    return bool((np.abs(x - y) <= 0.01 * step + rounding * np.abs(x).max(initial=0)).all())


def step(dim: str, points: NDArray[Any]) -> float:
    """The distance of neighbouring points of an axis; refused unless all are the same."""
    if points.dtype.kind not in ORDERED:
        raise ValueError(
            f"expected numbers as coordinates of {dim!r}, got {points.dtype}; give positions, or "
            f"drop them with .drop_vars({dim!r})"
        )
    x = points.astype(float) if points.dtype.kind in "mM" else points
    if not same(x, np.linspace(float(x[0]), float(x[-1]), len(x))):
        steps = np.diff(x.astype(float))
        raise ValueError(
            f"expected equidistant coordinates of {dim!r}, got steps from {steps.min():g} to "
            f"{steps.max():g}; sort them with .sortby, or interpolate with .interp"
        )
    return abs(float(x[1]) - float(x[0])) if len(x) > 1 else 1.0


def _moment(time: Any) -> str:
    """A time as it stands in the name of a variable.

    >>> _moment(0.1 + 0.2), _moment(np.datetime64("2020-01-01T06:00:00.000000000"))
    ('0.3', '2020-01-01T06:00')
    """
    if isinstance(time, np.datetime64):
        return str(np.datetime_as_string(time, unit="auto"))
    if isinstance(time, int | float | np.integer | np.floating) and not isinstance(
        time, np.timedelta64
    ):
        return f"{time:g}" if abs(time) < LONG else f"{time:.12g}"
    return str(time)


def _direction(array: xr.DataArray, dim: Hashable) -> float:
    """1 for coordinates that rise, -1 for those that fall, 0 where there are none."""
    if dim not in array.coords or array[dim].dtype.kind not in ORDERED:
        return 0.0
    points = array[dim].values.astype(float)
    return float(np.sign(points[-1] - points[0]))


def _few(labels: NDArray[Any]) -> str:
    """The first and the last labels."""
    few = [*labels[:2], "...", *labels[-2:]] if len(labels) > 5 else [*labels]
    return " ".join(str(label) for label in few)
