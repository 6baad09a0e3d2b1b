r"""What one asks of every field, as numbers a member: energy, enstrophy, spectra.

    mean_square     <u^2>
    maximum, minimum
    roughness       <|grad u|^2> / 2
    enstrophy       <w^2> / 2               of a vorticity
    palinstrophy    <|grad w|^2> / 2        of a vorticity
    energy          <|velocity|^2> / 2      of a vorticity on a periodic plane, and of a velocity

<> is the mean over the grid. Spectra are totals per shell, which add up to the mean square
(`solvers.diagnostics`). Fields that Dask holds are reduced block by block, whole fields at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from pushforward import labels
from pushforward.comparison import grid_of
from pushforward.labels import field, space
from pushforward.solvers import Grid
from pushforward.solvers.diagnostics import energy_spectrum, gradients, power_spectrum

AtOnce = Callable[[Tensor, Grid], Tensor]
VORTICITY, VELOCITY = "vorticity", "velocity"
BATCH = 2**22  # numbers of fields that are transformed at once


@dataclass(frozen=True)
class Amount:
    """What is measured: what it is, on which variables (any, if none), and how.

    `reduced` takes fields over their dimensions; without it `measured` takes tensors and a grid.
    """

    title: str
    variables: tuple[str, ...] = ()
    reduced: Callable[[xr.DataArray, list[str]], xr.DataArray] | None = None
    measured: AtOnce | None = None


def _half_square(u: xr.DataArray, dims: list[str]) -> xr.DataArray:
    return (u.astype(float) ** 2).mean(dims, skipna=False) / 2


def _roughness(u: Tensor, grid: Grid) -> Tensor:
    return gradients(u, grid).square().sum(-grid.ndim - 1).flatten(-grid.ndim).mean(-1) / 2


def _energy(u: Tensor, grid: Grid) -> Tensor:
    return energy_spectrum(u, grid).sum(-1)


AMOUNTS = {
    "mean_square": Amount("mean square", (), lambda u, dims: 2 * _half_square(u, dims)),
    "maximum": Amount("maximum", (), lambda u, dims: u.max(dims, skipna=False)),
    "minimum": Amount("minimum", (), lambda u, dims: u.min(dims, skipna=False)),
    "roughness": Amount("half the mean square slope", measured=_roughness),
    "enstrophy": Amount("enstrophy", (VORTICITY,), _half_square),
    "palinstrophy": Amount("palinstrophy", (VORTICITY,), measured=_roughness),
    "energy": Amount("kinetic energy", (VORTICITY, VELOCITY)),
}


def amount(
    given: xr.DataArray | xr.Dataset,
    name: str,
    *,
    variable: str | None = None,
    grid: Grid | None = None,
) -> xr.DataArray:
    """An amount of every field, by its name (see `AMOUNTS`), without the dimensions of the grid.

    Enstrophy, palinstrophy and energy find their variable in a Dataset by its name; `variable`
    says which it is where it has another. `grid` is the box where coordinates do not say it.
    Raises ValueError for a name that is none, or where the variable it is of is not there.

    >>> x = Grid((8, 8)).coordinates()[0].numpy()
    >>> w = xr.DataArray(np.tile(np.cos(2 * x), (3, 8, 1)), dims=("member", "y", "x"))
    >>> given = w.to_dataset(name="vorticity")
    >>> amount(given, "enstrophy").values, amount(given, "energy").values
    (array([0.25, 0.25, 0.25]), array([0.0625, 0.0625, 0.0625]))
    """
    if name not in AMOUNTS:
        raise ValueError(f"expected one of {', '.join(AMOUNTS)}, got {name}; choose one")
    about = AMOUNTS[name]
    u = _of(given, name, about, variable)
    dims, reduced, measured = space(u), about.reduced, about.measured
    if name == "energy":
        is_velocity = u.name == VELOCITY
        reduced, measured = (_half_square, None) if is_velocity else (None, _energy)
        if len(dims) != (1 if is_velocity else 2):
            raise ValueError(
                f"expected a vorticity on a plane or a velocity on a line for energy, got "
                f"{u.name} over {', '.join(dims)}; ask for its mean_square"
            )
    if reduced is not None:
        found = reduced(u, dims)
    else:
        assert measured is not None  # one of the two is there
        found = _measured(u, dims, measured, grid)
    words = f"{about.title} of {u.attrs.get('long_name') or u.name or 'the field'}"
    title = about.title if about.variables else words
    return found.rename(name).assign_attrs(long_name=title, units=u.attrs.get("units", "1"))


def spectrum(
    u: xr.DataArray | xr.Dataset, *, variable: str | None = None, grid: Grid | None = None
) -> xr.DataArray:
    """The mean square of every field, split over shells, in place of the dimensions of the grid.

    `wavenumber` is the shell's angular wave number, whole multiples of the lowest of the longest
    side (between walls, of its half wave), `shell` which multiple. The sum over it is the mean
    square. `grid` is the box where coordinates do not say it.

    >>> x = 2 * np.pi * np.arange(16) / 16
    >>> u = xr.DataArray(np.sin(3 * x)[None], dims=("member", "x"), coords={"x": x})
    >>> spectrum(u).sel(wavenumber=3, method="nearest").values.round(9)
    array([0.5])
    """
    array = field(u, variable)
    dims = space(array)
    box = box_of(array, dims, grid)
    count = power_spectrum(torch.zeros(box.shape), box).shape[-1]
    power = applied(array, dims, lambda v: power_spectrum(v, box), count, "wavenumber")
    lowest = (2 if box.periodic else 1) * np.pi / max(box.extent)
    about = {"long_name": "angular wave number", "units": "1"}
    name = array.attrs.get("long_name") or array.name or "the field"
    return (
        power.rename("power")
        .assign_coords(
            {
                "wavenumber": ("wavenumber", lowest * np.arange(count), about),
                "shell": ("wavenumber", np.arange(count), {"long_name": "shell", "units": "1"}),
            }
        )
        .assign_attrs(long_name=f"power of {name}", units=array.attrs.get("units", "1"))
    )


def whole(u: xr.DataArray, dims: list[str]) -> xr.DataArray:
    """The fields with each in one chunk of Dask's, last in their dimensions.

    >>> u = xr.DataArray(np.zeros((4, 8)), dims=("x", "member")).chunk(x=2)
    >>> whole(u, ["x"]).chunks
    ((8,), (4,))
    """
    ordered = u.transpose(..., *dims)
    return ordered.chunk({dim: -1 for dim in dims}) if u.chunks else ordered


def _of(
    given: xr.DataArray | xr.Dataset, name: str, about: Amount, variable: str | None
) -> xr.DataArray:
    """The array that the amount is of; refused where its variable is not there."""
    if about.variables and variable is None and isinstance(given, xr.Dataset):
        there = [one for one in about.variables if one in given]
        if not there:
            raise ValueError(
                f"expected a {' or a '.join(about.variables)} for {name}, got "
                f"{', '.join(map(str, given))}; name it with variable=, or ask for mean_square"
            )
        variable = there[0]
    array = field(given, variable)
    known = {VORTICITY, VELOCITY} & {str(array.name)}
    if variable is None and about.variables and known - {*about.variables}:
        raise ValueError(
            f"expected a {' or a '.join(about.variables)} for {name}, got a {array.name}; ask for "
            "mean_square"
        )
    return labels.along(array, space(array)[0])  # are these numbers?


def box_of(u: xr.DataArray, dims: list[str], grid: Grid | None = None) -> Grid:
    """The grid of some dimensions of fields.

    >>> box_of(xr.DataArray(np.zeros((3, 8)), dims=("member", "x")), ["x"]).shape
    (8,)
    """
    one = u.isel({dim: 0 for dim in u.dims if dim not in dims}).transpose(*dims)
    return grid_of(one, grid)


def _measured(u: xr.DataArray, dims: list[str], how: AtOnce, grid: Grid | None) -> xr.DataArray:
    box = box_of(u, dims, grid)
    return applied(u, dims, lambda v: how(v, box)[..., None], 1, "one").isel(one=0)


def applied(
    u: xr.DataArray, dims: list[str], how: Callable[[Tensor], Tensor], count: int, along: str
) -> xr.DataArray:
    """What a function of fields (field, *grid) gives, (field, count), with a dimension for it.

    >>> u = xr.DataArray(np.ones((2, 4)), dims=("member", "x"))
    >>> applied(u, ["x"], lambda v: v[:, ::2], 2, "half").dims
    ('member', 'half')
    """

    def block(values: NDArray[Any]) -> NDArray[np.float64]:
        shape = values.shape[values.ndim - len(dims) :]
        fields = values.reshape(-1, *shape)
        step = max(1, BATCH // max(1, int(np.prod(shape))))
        parts = [
            how(torch.from_numpy(fields[i : i + step].astype(np.float64))).numpy()
            for i in range(0, len(fields), step)
        ]
        parts = parts or [np.zeros((0, count))]
        return np.concatenate(parts).reshape(*values.shape[: -len(dims)], count)

    return xr.apply_ufunc(
        block,
        whole(u, dims),
        input_core_dims=[dims],
        output_core_dims=[[along]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {along: count}},
    )
