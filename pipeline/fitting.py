"""The second of the specs: how a surrogate is fitted to a data set, as frozen values with a name.

It says which fields of which members are learnt from, on which grid, by which network and path,
and for how long; what does not go together is refused in one sentence. See `spec` for the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from pushforward.dataset import (
    STATIC,
    Count,
    Positive,
    Seed,
    Simulation,
    Whole,
    boxed,
    check_coarser,
)
from pushforward.ema import WIDEST
from pushforward.generative import BASES, Architecture, Dequantisation
from pushforward.generative.bases import outline
from pushforward.generative.precision import Precision
from pushforward.generative.presets import merged
from pushforward.generative.restriction import WAVES
from pushforward.levels import Level
from pushforward.levels import check as check_levels
from pushforward.lineage import Spec
from pushforward.solvers import Grid


class Training(Spec):
    """A surrogate of a simulation's fields at the times `frames`, which are stacked as channels.

    The first `members` of the simulation are learnt from, the next `held_out` validate and
    measure the denoiser's calibration. `translations` shifts every field at random along the
    periodic axes; leave it out for data that are not statistically homogeneous. `calibration`
    members are sampled once at the end to level each shell's variance. `steps` = 0 gives the exact
    Gaussian surrogate. `surrogate` names a preset; whatever else it says is changed in it.
    The weights that are kept are averaged with decay `ema`, or by a power of the step with the
    relative width `width` where that is given; `snapshots` averages are stored beside them, from
    which any other width can be had afterwards (see `ema`). Fields of more than `memory` GiB
    (4 where it is not given) are read while it runs, in another order (see `preparation`).
    `static` are drawn fields without a time, `forcing`, that are learnt beside the frames and come
    first, so that members can be drawn given one of them (see `given`).
    `grid` is a coarser grid to learn on, of which the members keep the waves it has.
    `levels` are coarser grids to begin on (see `levels`). `precision` is that of what networks
    compute at a point while they learn (see `generative.precision`).

    >>> from pushforward.study import Study
    >>> training = Study.load("smoke", ["training.frames=[-1]"]).training
    >>> training.stack, training.upstream.kind
    (((-1, 'vorticity'),), 'simulation')
    """

    kind: ClassVar[str] = "training"
    verb: ClassVar[str] = "train"
    above: ClassVar[str | None] = "simulation"
    layout: ClassVar[frozenset[str]] = frozenset({"checkpoint_every"})
    later: ClassVar[frozenset[str]] = frozenset(
        {"levels", "memory", "precision", "width", "snapshots", "static", "grid"}
    )

    simulation: Simulation
    frames: tuple[int, ...] = (-1,)
    members: Count
    held_out: Count
    surrogate: Architecture = Architecture()
    steps: Whole
    batch: Count = 16
    slices: Count = 1
    learning_rate: Positive = 2e-3
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    seed: Seed = 0
    translations: bool = True
    calibration: Annotated[int, Field(ge=2)] = 256
    checkpoint_every: Count = 250
    memory: Positive | None = None
    width: Annotated[float, Field(gt=0, le=WIDEST)] | None = None
    snapshots: Whole = 0
    levels: tuple[Level, ...] = ()
    precision: Precision = "float32"
    static: tuple[Literal["forcing"], ...] = ()
    grid: Grid | None = None

    @model_validator(mode="before")
    @classmethod
    def _same_box(cls, values: Any) -> Any:
        """A grid to learn on is of the simulation's box and need not say so."""
        simulation = values.get("simulation")
        own = vars(simulation.grid) if isinstance(simulation, Simulation) else {}
        return boxed(values, "grid", own)

    @field_validator("surrogate", mode="before")
    @classmethod
    def _preset(cls, values: Any) -> Any:
        return merged(values) if isinstance(values, Mapping) else values

    @model_validator(mode="after")
    def _check(self) -> Training:
        if self.translations and not BASES[self.surrogate.basis].translates:
            raise ValueError(
                f"expected a basis that can be translated for translations, got "
                f"{self.surrogate.basis}; set training.translations=false or choose fourier"
            )
        surrogate, grid = self.surrogate, self.learnt_on
        check_coarser(grid, self.simulation.grid)
        if self.translations and not grid.periodic:
            raise ValueError(
                f"expected a periodic box for translations, got boundary {grid.boundary}; set "
                "training.translations=false"
            )
        modes = outline(surrogate.basis, grid, len(self.stack))
        surrogate.path.on(modes, surrogate.process.dynamics())  # has the basis what it orders by?
        check_levels(self.levels, grid)
        for level in self.levels:
            if surrogate.basis not in WAVES:
                raise ValueError(
                    f"expected a basis of waves for levels, got {surrogate.basis}; leave them out "
                    f"or choose {' or '.join(WAVES)}"
                )
            modes = outline(surrogate.basis, level.on(grid), len(self.stack))
            surrogate.path.on(modes, surrogate.process.dynamics())
        count = len(self.simulation.times)
        places = [frame % count for frame in self.frames if -count <= frame < count]
        if not self.frames or len(places) < len(self.frames) or len({*places}) < len(places):
            raise ValueError(
                f"expected frames to be different indices of {count} times, got {self.frames}; "
                f"choose from 0..{count - 1}"
            )
        if len({*self.static}) < len(self.static) or (
            self.static and self.simulation.forcing is None
        ):
            raise ValueError(
                f"expected a simulation with a drawn forcing for static, once, got {self.static} "
                f"and forcing {self.simulation.forcing}; leave static out"
            )
        if self.snapshots > self.steps:
            raise ValueError(
                f"expected snapshots <= steps, got {self.snapshots} and {self.steps}; lower "
                "snapshots"
            )
        if self.slices > self.batch:
            raise ValueError(
                f"expected slices <= batch, got {self.slices} and {self.batch}; lower slices"
            )
        if self.members + self.held_out > self.simulation.members:
            raise ValueError(
                f"expected members + held_out <= {self.simulation.members} simulated members, got "
                f"{self.members} + {self.held_out}; lower them or raise simulation.members"
            )
        return self

    @property
    def learnt_on(self) -> Grid:
        """The grid that the surrogate learns on."""
        return self.grid or self.simulation.grid

    @property
    def times(self) -> tuple[float, ...]:
        """The times of `frames`, in their order."""
        return tuple(self.simulation.times[frame] for frame in self.frames)

    @property
    def stack(self) -> tuple[tuple[int | None, str], ...]:
        """(frame, channel) of all that the surrogate sees: static ones (None), then frames."""
        names = self.simulation.channels
        frames = ((frame, name) for frame in self.frames for name in names)
        return (*((None, name) for name in self.static), *frames)

    @property
    def dequantisation(self) -> Dequantisation | None:
        """How the data's whole numbers became fields, where they did."""
        return getattr(self.simulation.data, "dequantisation", None)

    @property
    def about(self) -> dict[str, str]:
        """What the channels are, by name."""
        return {name: STATIC[name] for name in self.static} | dict(
            self.simulation.subject.channels
        )
