"""What is to be computed, as frozen values with names: the arguments of the four verbs.

    Simulation <- Training <- Generation <- Evaluation          (each holds the one upstream)

A spec is a pydantic model over the plain dataclasses of the floors below: typos, wrong types and
impossible combinations are refused in one sentence before anything is computed. Its name, a hash
of its whole lineage (see `lineage`), is where its result lies in an archive. A study (see
`study`) is one such lineage with a title, written as YAML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from pushforward.dataset import (
    STATIC,
    Count,
    Positive,
    Seed,
    Simulation,
    Whole,
    boxed,
    check_block,
    check_coarser,
)
from pushforward.ema import WIDEST
from pushforward.generative import BASES, Architecture, Dequantisation, Sampler
from pushforward.generative.bases import outline
from pushforward.generative.draw import check_process
from pushforward.generative.extension import finer
from pushforward.generative.precision import Precision
from pushforward.generative.presets import merged
from pushforward.generative.restriction import WAVES
from pushforward.levels import Level
from pushforward.levels import check as check_levels
from pushforward.lineage import Spec
from pushforward.mistakes import sentence, unknown
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


class Generation(Spec):
    """An ensemble drawn from a trained surrogate, on the training grid or any other of its box.

    `sampler` is the surrogate's own where it does not say (see `Sampler`). `seed` and the member's
    number decide the member, on every grid; `extend` adds scales finer than the data's.

    >>> from pushforward.study import Study
    >>> study = Study.load("smoke", ["generation.grid={shape: [64, 32]}"])
    >>> study.generation.target.shape, study.generation.channels
    ((64, 32), ('vorticity',))
    """

    kind: ClassVar[str] = "generation"
    verb: ClassVar[str] = "generate"
    above: ClassVar[str | None] = "training"
    layout: ClassVar[frozenset[str]] = frozenset({"block"})

    training: Training
    members: Count
    grid: Grid | None = None
    extend: bool = False
    seed: Seed = 1
    sampler: Sampler = Sampler()
    batch: Count = 32
    block: Count = 64

    @model_validator(mode="before")
    @classmethod
    def _same_box(cls, values: Any) -> Any:
        """A grid to sample on is of the training grid's box and need not say so."""
        training = values.get("training")
        own = vars(training.learnt_on) if isinstance(training, Training) else {}
        return boxed(values, "grid", own)

    @model_validator(mode="after")
    def _check(self) -> Generation:
        check_block(self.block, self.batch)
        surrogate, grid = self.training.surrogate, self.training.learnt_on
        if replace(self.target, shape=grid.shape) != grid:
            raise ValueError(
                f"expected a grid of the training box {grid.extent}, {grid.boundary}, got extent "
                f"{self.target.extent}, {self.target.boundary}; change its shape only"
            )
        if surrogate.basis == "pixel" and self.target.shape != grid.shape:
            raise ValueError(
                f"expected the training grid {grid.shape} for the basis pixel, which has no "
                f"other, got {self.target.shape}; leave it out, or choose fourier"
            )
        if surrogate.basis in ("pixel", "pca") and self.extend:
            raise ValueError(
                f"expected extend false for the basis {surrogate.basis}, which has no scales to "
                "continue, got true; leave it out, or choose fourier"
            )
        if self.extend:
            finer(grid, self.target)
        check_process(self.drawn_with, surrogate.process)
        return self

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the fields that are stored."""
        return (*self.training.static, *self.training.simulation.channels)

    @property
    def drawn_with(self) -> Sampler:
        """The sampler, with what it leaves to the surrogate filled in."""
        surrogate = self.training.surrogate
        return self.sampler.or_else(surrogate.method, surrogate.churn)

    @property
    def target(self) -> Grid:
        """The grid that is sampled on."""
        return self.grid or self.training.learnt_on


POOL = 4  # unseen solver members a member of an evaluation: with fewer, floors miss rare members


class Evaluation(Spec):
    """How far an ensemble is from solver members that training never saw, beside their own spread.

    The reference is the last `members` of the simulation; floors come from random splits of all
    members that training never saw, at least four times as many, or of the last `pool` of them.
    Scores of pairs of members compare at most `pairs` of a side.

    >>> from pushforward.study import Study
    >>> Study.load("smoke", ["evaluation.members=1000000"])
    Traceback (most recent call last):
    ValueError: smoke: evaluation: expected 4 x 1000000 simulated members that training does ...
    """

    kind: ClassVar[str] = "evaluation"
    verb: ClassVar[str] = "evaluate"
    above: ClassVar[str | None] = "generation"
    later: ClassVar[frozenset[str]] = frozenset({"pool"})

    generation: Generation
    members: Annotated[int, Field(ge=2)] = 256
    splits: Count = 200
    bootstrap: Count = 200
    seed: Seed = 0
    pairs: Annotated[int, Field(ge=2)] = 1024
    pool: Count | None = None

    @model_validator(mode="after")
    def _check(self) -> Evaluation:
        unseen = len(self.unseen)
        if unseen < POOL * self.members:
            more = "simulation.members" if self.pool is None else "evaluation.pool"
            raise ValueError(
                f"expected {POOL} x {self.members} simulated members that training does not see, "
                f"got {unseen}; raise {more} or lower evaluation.members"
            )
        if self.generation.members < self.members:
            raise ValueError(
                f"expected at least {self.members} generated members, got "
                f"{self.generation.members}; raise generation.members"
            )
        return self

    @property
    def unseen(self) -> range:
        """The simulated members that training does not see, which floors are made of."""
        training = self.generation.training
        seen, total = training.members + training.held_out, training.simulation.members
        return range(seen if self.pool is None else max(seen, total - self.pool), total)


KINDS: dict[str, type[Spec]] = {
    cls.kind: cls for cls in (Simulation, Training, Generation, Evaluation)
}


def restore(kind: str, values: dict[str, Any]) -> Spec:
    """The spec that `model_dump` made values of.

    >>> restore("simulacrum", {})
    Traceback (most recent call last):
    ValueError: expected one of evaluation, generation, simulation, training, got simulacrum; ...
    """
    if kind not in KINDS:
        raise ValueError(unknown(kind, KINDS))
    try:
        return KINDS[kind].model_validate(values)
    except ValidationError as error:
        raise ValueError(sentence(error, KINDS[kind], kind)) from None
