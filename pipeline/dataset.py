"""The first of the specs: a data set, as frozen values with a name.

It says which members of which equation are solved, from what, how exactly and where they are kept,
or which are drawn or read without one; whatever nothing can start on is refused in one sentence.
See `spec` for the three that follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from pydantic import Field, model_validator

from pushforward.families import AnyEquation, AnySource, Law
from pushforward.images import Images
from pushforward.lineage import Spec
from pushforward.solvable import check, check_critical, critical
from pushforward.solvers import GaussianField, Grid, Problem
from pushforward.solvers.integrators import Scheme

if TYPE_CHECKING:
    from pushforward.solvers.source import Source

Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[float, Field(gt=0)]
SOLVED = ("initial", "forcing", "noise", "step", "tolerance", "scheme", "solver_grid", "storage")
STATIC = {"forcing": "drawn forcing"}  # what a simulation stores that has no time


class Simulation(Spec):
    """Members 0..members-1 of an equation's solutions for random initial states and forcings.

    `tolerance` is the relative error allowed per step, `step` the largest step; without a
    tolerance it is the step (an elliptic equation has neither, and times [0]). `scheme` is the
    equation's own where none is named. `noise` is the covariance of a forcing white in time.
    `solver_grid` is a finer grid to solve on, of which `grid` is kept; `storage: critical` keeps
    fewer bytes of the same fields (see `critical`). `batch` members are advanced together and
    `block` members make one shard, the unit of work, a multiple of `batch`: layout only, since a
    member has the same bits in any company.

    With `data` in place of an equation, members are drawn from a law or read from files (see
    `solvers.source`), at time 0; `location` is the folder that their files lie in, no part of the
    name either, and in no archive.

    >>> from pushforward.solvers import NavierStokes
    >>> simulation = Simulation(equation=NavierStokes(viscosity=1e-2), grid=Grid((16, 16)),
    ...     initial=GaussianField.matern(4.0, 0.3, deviation=1.0), times=(1,), step=0.1, members=8)
    >>> simulation.name.split("-")[0], simulation.channels
    ('simulation', ('vorticity',))
    """

    kind: ClassVar[str] = "simulation"
    verb: ClassVar[str] = "simulate"
    layout: ClassVar[frozenset[str]] = frozenset({"batch", "block", "location"})
    later: ClassVar[frozenset[str]] = frozenset({"data"})

    equation: AnyEquation | None = None
    data: AnySource | None = None
    grid: Grid
    initial: Law | None = None
    forcing: GaussianField | None = None
    noise: GaussianField | None = None
    times: tuple[float, ...]
    step: Positive | None = None
    tolerance: Positive | None = None
    scheme: Scheme | None = None
    dtype: Literal["float32", "float64"] = "float32"
    solver_grid: Grid | None = None
    storage: Literal["full", "critical"] = "full"
    members: Count
    seed: Seed = 0
    batch: Count = 32
    block: Count = 64
    location: Annotated[str | None, Field(exclude=True)] = None  # of this machine: in no archive

    @model_validator(mode="before")
    @classmethod
    def _same_box(cls, values: Any) -> Any:
        """A solver's grid is of the grid's box and need not say so; data are at time 0."""
        if values.get("data") is not None:
            values = {"times": (0.0,), **values}
        grid = values.get("grid")
        return boxed(values, "solver_grid", grid) if isinstance(grid, Mapping) else values

    @model_validator(mode="after")
    def _check(self) -> Simulation:
        times = self.times
        if (self.equation is None) == (self.data is None):
            both = "neither" if self.data is None else "both"
            raise ValueError(f"expected an equation or data, got {both}; give one of them")
        if self.data is not None:
            check_block(self.block, self.batch)
            self._check_data(cast("Source", self.data))
            return self
        if not times or times[0] < 0 or any(a >= b for a, b in pairwise(times)):
            raise ValueError(f"expected times >= 0 that increase, got {times}; sort them")
        check_block(self.block, self.batch)
        check(self.problem())
        if self.storage == "critical":
            check_critical(self.problem())
        return self

    def _check_data(self, data: Source) -> None:
        """Raises ValueError for what only an equation has, and for members that are not there."""
        for name in SOLVED:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(
                    f"expected no {name} for {data.kind}, which nobody solves for, got "
                    f"{getattr(self, name)}; leave it out"
                )
        if self.times != (0.0,):
            raise ValueError(f"expected times (0.0,) for data, got {self.times}; leave them out")
        if self.grid.boundary not in data.boundary:
            raise ValueError(
                f"expected boundary {' or '.join(data.boundary)} for {data.kind}, got "
                f"{self.grid.boundary}; set grid.boundary"
            )
        if isinstance(data, Images) and len(data.sha256) < len(data.files):
            raise ValueError(
                f"expected a sha256 for each of data.files {', '.join(data.files)}, by which a "
                f"study knows them, got {len(data.sha256)}; give what sha256sum says of them"
            )
        data.check(self.grid, self.members)

    @property
    def subject(self) -> Any:
        """The equation, or the data in its place: what has a kind and channels."""
        return self.equation if self.data is None else self.data

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the fields that are stored."""
        return tuple(self.subject.channels)

    @property
    def solved(self) -> bool:
        """Whether there is an equation that is solved."""
        return self.equation is not None

    def problem(self) -> Problem:
        """What the solver computes.

        Raises ValueError where there is no equation.
        """
        if self.equation is None:
            raise ValueError(
                f"expected an equation to solve, got the data {self.subject.kind}; ask for a "
                "study that has one"
            )
        return Problem(
            self.grid,
            self.equation,
            self.initial,
            self.forcing,
            self.times,
            self.step,
            self.tolerance,
            self.scheme,
            self.dtype,
            self.noise,
            self.solver_grid,
        )

    @property
    def stored_on(self) -> Grid:
        """The grid that the fields lie on in an archive; `Archive.open` gives them on `grid`."""
        return critical(self.problem()) if self.storage == "critical" else self.grid

    def source(self) -> Source:
        """Where members come from that nobody solves for.

        Raises ValueError where there is an equation.
        """
        if self.data is None:
            raise ValueError(f"expected data, got {self.subject.kind}, which is solved; simulate")
        at = getattr(self.data, "at", None)
        return cast("Source", self.data if at is None else at(self.location))


def boxed(values: Mapping[str, Any], key: str, box: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values with the grid at `key` in the given box, as far as it does not name its own."""
    grid = values.get(key)
    if not isinstance(grid, Mapping):
        return values
    return {**values, key: {**{k: box[k] for k in ("extent", "boundary") if k in box}, **grid}}


def check_block(block: int, batch: int) -> None:
    """Refuses blocks that are not made of whole batches."""
    if block % batch:
        raise ValueError(
            f"expected block to be a multiple of batch, got {block} and {batch}; change one"
        )


def check_coarser(grid: Grid, whole: Grid) -> None:
    """Refuses a grid to learn on that is of another box than the members', or finer.

    >>> check_coarser(Grid((8, 8)), Grid((4, 16)))
    Traceback (most recent call last):
    ValueError: expected training.grid to be the simulation's or coarser, got (8, 8) of ...
    """
    if replace(grid, shape=whole.shape) != whole or any(
        n > m for n, m in zip(grid.shape, whole.shape, strict=True)
    ):
        raise ValueError(
            f"expected training.grid to be the simulation's or coarser, got {grid.shape} of "
            f"{whole.shape}; lower its points, and leave out its box"
        )
