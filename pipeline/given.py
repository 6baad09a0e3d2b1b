r"""What is known of the fields to be drawn, as labelled arrays: p(u | what was seen).

One names variables of the ensemble, at some of its times, and gives values on a grid of the box
(NaN where nothing was seen) or at points anywhere (a dimension `point` with coordinates `x`, `y`).
Which law that asks for, and what draws from it, follows from the values:

    a whole field, exact         clean coefficients: a path that starts at log snr = inf, exact
    the same on a coarser grid   the coefficients that this grid holds: super-resolution
    a whole field with noise     coefficients seen at the log snr of the noise: the reverse
                                 diffusion (churn 1) started there, exact
    a part of a field, points    values of functionals: guidance (see `generative.guidance`)

White noise of deviation s on N points is noise of deviation s / sqrt(N) on every orthonormal
coefficient. The first three need a network that was trained for it (`surrogate.variation` with
clean channels) or channels that are clean from the start, and channels that are whitened apart or
come first (static ones, the first frame); where a whole field comes later among channels that are
whitened together, its points are functionals.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from pushforward.comparison import grid_of
from pushforward.generative import Basis, Observation
from pushforward.generative.guidance import Functionals, at_points, together
from pushforward.generative.observation import observed
from pushforward.labels import same, variables_of
from pushforward.layout import AXES
from pushforward.progress import say
from pushforward.solvers import Grid
from pushforward.spec import Training

MOST = 4096  # values that guidance takes: it solves a system of so many unknowns a step
EXACT = 1e-3  # of a channel's deviation at a point: the noise of values without any


class Conditions(NamedTuple):
    """What `Surrogate.sample` takes: coefficients as starts, functionals by guidance."""

    observed: Observation | None = None
    guided: Functionals | None = None

    def to(self, device: torch.device) -> Conditions:
        """On a device."""
        return Conditions(
            self.observed and self.observed.to(device), self.guided and self.guided.to(device)
        )


FREE = Conditions()  # nothing is known


@dataclass(frozen=True, eq=False)
class Seen:
    """One channel of the stack: values at points (point, axis), or a whole field on a grid."""

    channel: int
    values: Tensor
    deviation: float
    points: Tensor | None
    grid: Grid


@dataclass(frozen=True, eq=False)
class Given:
    """Values that are known, and the deviation of their noise, in their units.

    `deviation` is one number or one a variable.

    Raises TypeError for what is no array, ValueError for a negative deviation.
    """

    data: xr.Dataset
    deviation: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        data: xr.DataArray | xr.Dataset,
        deviation: float | Mapping[str, float] = 0.0,
    ) -> Given:
        """From labelled arrays, which are loaded.

        >>> Given.of(xr.DataArray([1.0, 2.0], dims="x", name="u"), 0.1).deviation
        {'u': 0.1}
        """
        found = variables_of(data, "given").load().copy(deep=True)  # of its own
        names = [str(name) for name in found.data_vars]
        each = (
            dict(deviation) if isinstance(deviation, Mapping) else dict.fromkeys(names, deviation)
        )
        if {*each} - {*names} or not all(0 <= s < np.inf for s in each.values()):
            raise ValueError(
                f"expected finite deviations >= 0 of {', '.join(names)}, got {each}; name each "
                "after its variable"
            )
        return cls(found, each)

    @cached_property
    def digest(self) -> str:
        """What tells it from others: a hash of all that it says."""
        said = json.dumps([self.deviation, self.data.to_dict()], default=str)
        return hashlib.sha256(said.encode()).hexdigest()[:10]

    def on(self, training: Training, basis: Basis) -> Conditions:
        """As conditions on the coefficients of a training's surrogate.

        Raises ValueError for variables, times or a box that are not the training's, for values
        that are infinite or none at all, and for more of them than guidance takes.
        """
        every = list(self.seen(training))
        starts = _starts(basis, [one for one in every if one.points is None])
        guided = [_functionals(basis, one) for one in every if one not in starts]
        return Conditions(
            _observation(basis, starts) if starts else None,
            together(*guided) if guided else None,
        )

    def seen(self, training: Training) -> Iterator[Seen]:
        """Channel by channel what is given, on the CPU, in float64."""
        for name, array in self.data.data_vars.items():
            name = str(name)
            for place, one in _channels(training, name, array):
                yield _seen(
                    training.simulation.grid, name, place, one, self.deviation.get(name, 0.0)
                )


def _channels(
    training: Training, name: str, array: xr.DataArray
) -> Iterator[tuple[int, xr.DataArray]]:
    """(place in the stack, values of one time) of a variable."""
    places = {frame: i for i, (frame, channel) in enumerate(training.stack) if channel == name}
    if not places:
        known = ", ".join(dict.fromkeys(channel for _, channel in training.stack))
        raise ValueError(f"expected values of {known}, got {name!r}; rename or leave it out")
    if None in places:
        yield places[None], array.squeeze("time", drop=True) if "time" in array.dims else array
        return
    times = {
        training.simulation.times[frame]: i for frame, i in places.items() if frame is not None
    }
    if "time" not in array.coords:
        if len(times) > 1 or "time" in array.dims:
            raise ValueError(
                f"expected a coordinate time of {name!r}, one of {', '.join(map(str, times))}, "
                "got none; label the values with .assign_coords(time=...)"
            )
        yield next(iter(times.values())), array
        return
    moments = np.atleast_1d(array["time"].values)
    if len(np.unique(moments)) < len(moments):
        raise ValueError(
            f"expected every time of {name!r} once, got {', '.join(map(str, moments))}; choose "
            "among them with .isel(time=...)"
        )
    for one in array if "time" in array.dims else [array]:
        moment = float(one["time"])
        found = [i for t, i in times.items() if same(np.array([moment]), np.array([t]))]
        if not found:
            raise ValueError(
                f"expected {name!r} at a time that was learnt, {', '.join(map(str, times))}, got "
                f"{moment:g}; choose one with .sel(time=...)"
            )
        yield found[0], one.drop_vars("time")


def _seen(box: Grid, name: str, place: int, array: xr.DataArray, deviation: float) -> Seen:
    """The values of one channel."""
    axes = AXES[-box.ndim :]
    if "point" in array.dims:
        where = [array[axis].values.astype(float) for axis in axes if axis in array.coords]
        if array.dims != ("point",) or len(where) < len(axes):
            raise ValueError(
                f"expected {name!r} along point, with coordinates {', '.join(axes)}, got the "
                f"dimensions {array.dims} and {len(where)} of them; add the ones that are missing"
            )
        points, grid = torch.from_numpy(np.stack(where, 1)), box
        values = torch.from_numpy(array.values.astype(float))
    else:
        if {*array.dims} != {*axes}:
            raise ValueError(
                f"expected {name!r} along {', '.join(axes)} or point, got {array.dims}; choose "
                "one member, and rename the rest"
            )
        array = array.transpose(*axes).sortby([axis for axis in axes if axis in array.coords])
        grid = grid_of(array, None if all(axis in array.coords for axis in axes) else box)
        if grid.boundary != box.boundary or not np.allclose(grid.extent, box.extent, rtol=1e-5):
            raise ValueError(
                f"expected {name!r} on the box {box.extent}, {box.boundary}, got {grid.extent}, "
                f"{grid.boundary}; give coordinates and boundary as the ensemble has them"
            )
        grid = Grid(grid.shape, box.extent, box.boundary)
        values = torch.from_numpy(array.values.astype(float))
        lines = [
            array[axis].values.astype(float) if axis in array.coords else points.numpy()
            for axis, points in zip(axes, grid.coordinates(), strict=True)
        ]
        # labels that are no grid of the box's (cells' middles, a part of it) are points in it
        own = all(same(x, at.numpy()) for x, at in zip(lines, grid.coordinates(), strict=True))
        if own and values.isfinite().all():
            return Seen(place, values, deviation, None, grid)
        points = torch.from_numpy(np.stack(np.meshgrid(*lines, indexing="ij"), -1))
        points, values = points.flatten(0, -2), values.flatten()
    known = ~values.isnan()
    if not known.any() or values.isinf().any():
        raise ValueError(
            f"expected finite values of {name!r} or NaN where there are none, got "
            f"{int(known.sum())} with {int(values.isinf().sum())} infinite; correct these"
        )
    return Seen(place, values[known], deviation, points[known], grid)


def _starts(basis: Basis, whole: list[Seen]) -> list[Seen]:
    """Those of whole fields that coefficients can be had of.

    All of them where channels are whitened apart; else exact ones that come first without a gap.
    """
    if basis.apart:
        return whole
    exact = {
        one.channel: one
        for one in whole
        if one.deviation == 0 and bool((basis.held(one.grid) | ~basis.mask.any(0)).all())
    }
    return [exact[i] for i in range(len(exact)) if all(j in exact for j in range(i + 1))]


def _observation(basis: Basis, starts: list[Seen]) -> Observation:
    """Whole fields as one observation of coefficients."""
    raw = torch.zeros_like(basis.mean, dtype=torch.float64)
    mask, deviation = torch.zeros_like(basis.mask), torch.zeros_like(raw[:, :1])
    for one in starts:
        c = one.channel
        field = one.values.to(raw)[None]
        raw[c] = basis.read(field, one.grid)[0]
        _tell(basis, one, raw[c])
        mask[c] = basis.mask[c] & basis.held(one.grid)
        deviation[c] = one.deviation / one.grid.size**0.5
    return observed(basis, raw, mask, deviation)


def _tell(basis: Basis, seen: Seen, raw: Tensor) -> None:
    """Says how much of a whole field lies in what the surrogate does not have."""
    some = torch.zeros_like(basis.mean, dtype=torch.float64)
    kept = torch.where(basis.mask[seen.channel], raw, basis.mean[seen.channel].to(raw))
    some[seen.channel] = kept
    there = basis.place(some, seen.grid)[seen.channel]
    size = (seen.values.to(there) - seen.values.mean()).norm().clamp_min(1e-30)
    lost = float((there - seen.values.to(there)).norm() / size)
    if lost > 0.01:
        say(
            f"given: {lost:.0%} of a field of channel {seen.channel} is nothing that the "
            "surrogate has (finer scales, another mean), and is left out"
        )


def _functionals(basis: Basis, seen: Seen) -> Functionals:
    """Values at points; of a whole field, at its own."""
    points = seen.points
    if points is None:
        points = torch.stack(torch.meshgrid(*seen.grid.coordinates(), indexing="ij"), -1)
        points = points.flatten(0, -2)
    values = seen.values.flatten()
    if len(values) > MOST:
        raise ValueError(
            f"expected at most {MOST} values for guidance, got {len(values)}; give fewer points, "
            "or whole fields of channels that are whitened apart or come first "
            "(training.surrogate.channels=apart)"
        )
    deviation = seen.deviation or EXACT * float(basis.scale[seen.channel])
    return at_points(basis, points, seen.channel, values, deviation, basis.grid)
