r"""Which members lie nearest: to a field, or to what was observed of one.

The distance of two fields is the root of the mean square of their difference, or in the norm of
order s that of sum_k (1 + |k|^2)^s |u_k - v_k|^2, which for s < 0 sees the large scales and for
s > 0 the small ones. An observation is a field with NaN where nothing was seen, or values at
points anywhere, where fields are read by their waves (`solvers.interpolation`).
With its `deviation` a misfit is counted in deviations: about 1 is what noise alone leaves.

Members that Dask holds are compared block by block; only their distances are kept.
"""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from pushforward.amounts import applied, box_of, whole
from pushforward.labels import aligned, along, field, ordered, space
from pushforward.solvers import Grid
from pushforward.solvers.interpolation import checked, evaluate

Given = xr.DataArray | xr.Dataset


def nearest(
    u: Given,
    target: xr.DataArray,
    k: int = 1,
    *,
    order: float = 0.0,
    variable: str | None = None,
    grid: Grid | None = None,
) -> xr.Dataset:
    """The k members nearest to a field: their labels, `member`, and `distance`, nearest first.

    All dimensions of `target` are compared at once; along what u has besides (a time, say) each
    place has its own neighbours. Both lie on one grid, and labels decide. The result has the
    dimension `neighbour`. `grid` is the box, for an `order`, where coordinates do not say it.

    >>> u = xr.DataArray(np.eye(4), dims=("member", "x"))
    >>> found = nearest(u, u[2], k=2)
    >>> found.member.values, found.distance.values.round(3)
    (array([2, 0]), array([0.   , 0.707]))
    """
    x = along(field(u, variable), "member")
    seen = _fitting(target, x)
    difference = x.astype(float) - seen
    if order:
        places = space(seen)
        difference = _weighted(difference, places, order, box_of(x, places, grid))
    return _first(_size(difference, seen.dims), k)


def closest(
    u: Given,
    observation: xr.DataArray,
    k: int = 1,
    *,
    deviation: float | xr.DataArray = 1.0,
    variable: str | None = None,
    grid: Grid | None = None,
) -> xr.Dataset:
    """The k members closest to an observation: their labels, `member`, and `misfit`, best first.

    `observation` is a field with NaN where nothing was seen; or values along a dimension that is
    not the grid's, with a coordinate of each of the grid's names, at any points of the box.
    The misfit is the root mean square over all that was seen, in units of `deviation`.

    >>> x = np.arange(8) / 8
    >>> waves = np.sin(2 * np.pi * np.multiply.outer([1, 2, 3], x))
    >>> u = xr.DataArray(waves, dims=("member", "x"), coords={"member": [7, 8, 9], "x": x})
    >>> seen = xr.DataArray([1.0, -1.0], dims="point", coords={"x": ("point", [0.125, 0.375])})
    >>> found = closest(u, seen)
    >>> found.member.item(), round(found.misfit.item(), 9)
    (8, 0.0)
    """
    array = along(field(u, variable), "member")
    x, points = array.astype(float), [dim for dim in observation.dims if dim not in array.dims]
    if not isinstance(deviation, xr.DataArray) and not deviation > 0:
        raise ValueError(f"expected a deviation above 0, got {deviation}; 1 counts in u's units")
    if points:
        observation = _labels(observation, array)
        x, seen = _at(x, observation, space(array), grid), _bare(observation)
    else:
        seen = _fitting(observation, array)
    if not bool(seen.notnull().any()):
        raise ValueError("expected something observed, got NaN alone; give what was seen")
    noise = deviation
    if isinstance(deviation, xr.DataArray):
        noise = _bare(_labels(deviation, array)) if points else _fitting(deviation, array)
    found = _first(_size((x - seen) / noise, seen.dims), k).rename(distance="misfit")
    found["misfit"].attrs["long_name"] = "misfit, in deviations of the observation"
    return found


def _labels(observation: xr.DataArray, u: xr.DataArray) -> xr.DataArray:
    """Values at points in the order of the members' labels along other dimensions (times)."""
    for dim in observation.dims:
        if dim in u.dims and dim in u.coords and dim in observation.coords:
            like = u[dim].isel({dim: slice(None)})
            observation = ordered(observation, like, "the observation", "the members")
    return observation


def _fitting(target: xr.DataArray, x: xr.DataArray) -> xr.DataArray:
    """A field in the order of the members', without labels; refused where it does not fit."""
    target = target.squeeze("member", drop=True) if target.sizes.get("member") == 1 else target
    dims = [dim for dim in x.dims if dim in target.dims and dim != "member"]
    like = x.isel({dim: 0 for dim in x.dims if dim not in dims}, drop=True)
    if not dims or {*dims} != {*target.dims} or like.shape != target.transpose(*dims).shape:
        raise ValueError(
            f"expected a field with the sizes of a member, "
            f"{ {dim: n for dim, n in x.sizes.items() if dim != 'member'} }, got "
            f"{dict(target.sizes)}; choose a member with .isel, or restrict both to one grid"
        )
    fitted = ordered(aligned(target, like, "the field"), like, "the field", "the members")
    return _bare(fitted)


def _bare(array: xr.DataArray) -> xr.DataArray:
    """The numbers without labels, so that rounded ones cannot drop points."""
    return array.drop_vars([*array.coords]).astype(float)


def _size(difference: xr.DataArray, dims: tuple[object, ...]) -> xr.DataArray:
    """The root mean square over some dimensions, of what was seen."""
    square = (difference**2).mean([str(dim) for dim in dims])
    return square.pipe(np.sqrt)


def _first(distance: xr.DataArray, k: int) -> xr.Dataset:
    """The k nearest members by their distances, which are computed here."""
    count = distance.sizes["member"]
    if not 1 <= k <= count:
        raise ValueError(f"expected 1 to {count} neighbours, got {k}; there are no more members")
    known = distance.compute().transpose("member", ...)
    place = np.argsort(known.values, axis=0, kind="stable")[:k]
    labels = known["member"].values if "member" in known.coords else np.arange(count)
    others = known.isel(member=0, drop=True)
    dims = ("neighbour", *others.dims)
    near = np.take_along_axis(known.values, place, axis=0)
    about = {"long_name": "distance, root mean square", "units": "1"}
    return xr.Dataset(
        {
            "member": (dims, labels[place], {"long_name": "number of the member"}),
            "distance": (dims, near, about),
        },
        others.coords,
    )


def _weighted(u: xr.DataArray, dims: list[str], order: float, box: Grid) -> xr.DataArray:
    """Fields whose mean square is the square of the norm of that order."""
    weight = (1 - box.laplacian()) ** (order / 2)

    def block(values: NDArray[np.float64]) -> NDArray[np.float64]:
        u_hat = box.fft(torch.from_numpy(np.ascontiguousarray(values)))
        return box.ifft(u_hat * weight).numpy()

    return xr.apply_ufunc(
        block,
        whole(u, dims),
        input_core_dims=[dims],
        output_core_dims=[dims],
        dask="parallelized",
        output_dtypes=[np.float64],
    )


def _at(
    x: xr.DataArray, observation: xr.DataArray, dims: list[str], grid: Grid | None
) -> xr.DataArray:
    """The fields at the points of an observation, in place of the dimensions of the grid."""
    missing = [dim for dim in dims if dim not in observation.coords or dim not in x.coords]
    if missing or observation.ndim != 1:
        raise ValueError(
            f"expected values along one dimension with coordinates {', '.join(dims)}, as the "
            f"members have, got {observation.dims} with {', '.join(map(str, observation.coords))}"
            "; give positions along each axis"
        )
    box = box_of(x, dims, grid)
    places = [
        observation[dim].values - _origin(x[dim].values, float(points[0]))
        for dim, points in zip(dims, box.coordinates(), strict=True)
    ]
    points = torch.from_numpy(np.stack(places, 1).astype(np.float64))
    checked(points, box)
    (name,) = map(str, observation.dims)
    return applied(x, dims, lambda u: evaluate(u, box, points), len(points), name)


def _origin(points: NDArray[np.float64], first: float) -> float:
    """Where an axis of the box begins."""
    if len(points) > 1 and points[0] > points[1]:
        raise ValueError("expected coordinates that rise, got some that fall; use .sortby")
    return float(points[0]) - first
