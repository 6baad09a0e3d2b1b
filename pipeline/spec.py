"""What is to be computed, as frozen values with names: the arguments of the four verbs.

    Simulation <- Training <- Generation <- Evaluation          (each holds the one upstream)

A spec is a pydantic model over the plain dataclasses of the floors below: typos, wrong types and
impossible combinations are refused in one sentence before anything is computed. Its name, a hash
of its whole lineage (see `lineage`), is where its result lies in an archive. A study (see
`study`) is one such lineage with a title, written as YAML.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationError, model_validator

from pushforward.dataset import Count, Seed, Simulation, boxed, check_block
from pushforward.fitting import Training
from pushforward.generative import Sampler
from pushforward.generative.draw import check_process
from pushforward.generative.extension import finer
from pushforward.lineage import Spec
from pushforward.mistakes import sentence, unknown
from pushforward.solvers import Grid


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
