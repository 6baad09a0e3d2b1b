"""What is seen of an ensemble: a few members at a few times, of each variable by itself.

    two axes     images (three: the middle slice along the first)
    one axis     images of time over space where there are many times, else curves

Only what is seen is read: a view of a variable that lies on a disk, or in a bucket, takes some
chunks of it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pushforward.colours import Scale
from pushforward.labels import NUMBERS, variables_of

ROWS = ("ensemble", "time")  # dimensions that are no space, besides `member`
DENSE = 8  # times from which a line is seen as an image of time over space


@dataclass(frozen=True)
class View:
    """Values (row, member, up, across) of one variable, with the words for rows and members.

    `kind` is image, history (an image of time over space) or curves (one for each index `up`);
    `up` and `across` are the dimensions' names and points, `curves` the words for each curve.
    """

    name: str
    about: str
    kind: str
    values: NDArray[Any]
    rows: tuple[str, ...]
    members: tuple[str, ...]
    up: tuple[str, NDArray[Any]]
    across: tuple[str, NDArray[Any]]
    scale: Scale
    curves: tuple[str, ...] = ()

    @classmethod
    def of(cls, array: xr.DataArray, members: int, times: int, moving: bool = False) -> View:
        """What is seen of a variable: the first `members`, and `times` spread over all there are.

        `moving` asks for a row a time, also of what has one axis. Raises ValueError for an array
        without values, or without one to three axes of space.
        """
        name, space = str(array.name), _space(array)
        array = array.expand_dims([dim for dim in (*ROWS, "member") if dim not in array.dims])
        array = array.transpose(*ROWS, "member", *space).isel(member=slice(members))
        if array.sizes["time"] > 1 and "time" not in array.coords:
            array = array.assign_coords(time=range(array.sizes["time"]))
        history = len(space) == 1 and not moving and array.sizes["time"] >= DENSE
        if not history:
            array = array.isel(time=_spread(array.sizes["time"], times))
        if len(space) == 3:
            array = array.isel({space[0]: array.sizes[space[0]] // 2})
        array = array.load()
        values, ensembles, moments = array.values, _words(array, "ensemble"), _words(array, "time")
        rows = tuple("\n".join(filter(None, (a, b))) for a in ensembles for b in moments)
        kind, up, curves = "image", array.dims[-2], ()
        if len(space) == 1:
            kind, up = "history" if history else "curves", "time"
            if moving:
                values = values[..., None, :]
            else:  # times are in a panel, not below each other
                values, rows, curves = np.moveaxis(values, 1, 2), ensembles, moments
        values = values.reshape(len(rows), -1, *values.shape[-2:])
        return cls(
            name,
            _about(array, name, space),
            kind,
            values,
            rows,
            _words(array, "member"),
            _ends(array, up),
            _ends(array, array.dims[-1]),
            Scale.of(values),
            curves,
        )

    @property
    def aspect(self) -> float:
        """Height of a panel over its width."""
        if self.kind != "image":
            return 1.0 if self.kind == "history" else 0.75
        return float(np.clip(length(self.up[1]) / length(self.across[1]), 0.3, 3.0))


def views(
    given: xr.DataArray | xr.Dataset, members: int, times: int, moving: bool = False
) -> list[View]:
    """The views of all variables; where it is `moving`, of those that have several times.

    >>> fields = xr.DataArray(np.zeros((9, 5, 8, 8)), dims=("member", "time", "y", "x"), name="u")
    >>> views(fields, members=4, times=2)[0].rows
    ('t = 0', 't = 4')
    """
    found = variables_of(given, "what is shown").values()
    return [
        View.of(one, members, times, moving)
        for one in found
        if not moving or one.sizes.get("time", 1) > 1
    ]


def length(points: NDArray[Any]) -> float:
    """The length of an axis whose points stand for cells."""
    step = abs(points[-1] - points[0]) / max(len(points) - 1, 1)
    return float(step * len(points)) or 1.0


def _space(array: xr.DataArray) -> list[Hashable]:
    """The dimensions of space; refused where nothing can be drawn."""
    space = [dim for dim in array.dims if dim not in ("member", *ROWS)]
    if not 1 <= len(space) <= 3 or not array.size or array.dtype.kind not in NUMBERS:
        raise ValueError(
            "expected real values on 1 to 3 axes of space, besides member and time, in "
            f"{array.name!r}, got {array.dtype} of {dict(array.sizes)}; choose along the others "
            "with .isel"
        )
    return space


def _spread(count: int, wanted: int) -> list[int]:
    """Places from the first to the last, as even as they can be.

    >>> _spread(9, 3), _spread(2, 5)
    ([0, 4, 8], [0, 1])
    """
    return sorted({*np.linspace(0, count - 1, min(wanted, count)).round().astype(int).tolist()})


def _words(array: xr.DataArray, dim: str) -> tuple[str, ...]:
    """A word for each place along a dimension; none for a single one without a label."""
    if dim not in array.coords:
        count = array.sizes[dim]
        return tuple(f"{dim} {i}" for i in range(count)) if count > 1 else ("",)
    labels, kind = array[dim].values, array[dim].dtype.kind
    if dim == "member":
        return tuple(f"member {x}" if kind in "iu" else str(x) for x in labels)
    if dim == "time" and kind in "iuf":
        return tuple(f"t = {x:.4g}" for x in labels)
    if dim == "time":  # dates
        dates = (str(x)[:16].removesuffix("T00:00") for x in labels)
        return tuple(date.replace("T", "\n") for date in dates)
    return tuple(str(x) for x in labels)


def _about(array: xr.DataArray, name: str, space: Sequence[Hashable]) -> str:
    """What a variable is, beyond its name, its unit, and where it was cut."""
    unit, words = str(array.attrs.get("units", "1")), str(array.attrs.get("long_name", ""))
    parts = [words] if words and words != name else []
    parts += [f"in {unit}"] if unit not in ("1", "") else []
    if len(space) == 3:
        here = array.coords.get(space[0])
        parts.append(f"middle of {space[0]}" + ("" if here is None else f", {here.item():.3g}"))
    return ", ".join(parts)


def _ends(array: xr.DataArray, dim: Hashable) -> tuple[str, NDArray[Any]]:
    """A dimension's name and points, which are numbers."""
    if dim in array.coords and array[dim].dtype.kind in NUMBERS:
        return str(dim), array[dim].values.astype(float)
    return str(dim), np.arange(array.sizes[dim], dtype=float)
