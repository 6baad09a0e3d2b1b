"""The page of results, in Markdown."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Sequence

import torch

from benchmarks.markdown import number, table
from benchmarks.training.page import processor
from pushforward.checkpoint import CLIP

from .arms import ARMS, OURS, QUESTIONS, WIDTH
from .curves import MEASURES, Curve, Row, apart, start
from .race import BATCH, SAMPLER, Problem

COMMAND = "OMP_NUM_THREADS=1 python -m benchmarks.quality"


def write(problem: Problem, rows: Sequence[Row]) -> str:
    """The whole page."""
    seeds = len({row["seed"] for row in rows})
    parts = [_head(rows, seeds)]
    for question, arms in QUESTIONS.items():
        parts.append(f"## {question}")
        for measure in MEASURES:
            curves = {arm: Curve.of(rows, arm, measure) for arm in arms}
            marks = [f"{mark:g} s" for mark in curves[OURS].seconds]
            head = [measure, "steps", *marks, "apart", f"{ARMS[OURS].title}: there after"]
            parts.append(table(head, _rows(curves)))
    return "\n\n".join([*parts, _method(problem, seeds)]) + "\n"


def _head(rows: Sequence[Row], seeds: int) -> str:
    last = max(row["mark"] for row in rows)
    before = ", ".join(f"{number(start(rows, measure))} ({measure})" for measure in MEASURES)
    return f"""# Quality by time

    {COMMAND}

![Curves of quality by time](quality.png)

One thread of {processor()}, Python {platform.python_version()}, torch {torch.__version__}; \
{seeds} seeds each, {last:g} s of the processor a training. Values are in units of the solver's \
own floor (1: as good as the solver), medians over the seeds with their range. *Apart* says that \
no seed of an arm lies among those of the first one after {last:g} s, *there after* when the \
first one's median was as good as the arm's is after {last:g} s. The Gaussian surrogate has \
{before}: there training with the library's preconditioning starts, and what is above it is worse \
than no training at all. Without preconditioning training starts from noise."""


def _rows(curves: dict[str, Curve]) -> Iterator[list[str]]:
    ours = curves[OURS]
    for arm, curve in curves.items():
        cells = [
            f"{number(middle)} ({number(values[0])} to {number(values[-1])})"
            for middle, values in zip(curve.medians, curve.values, strict=True)
        ]
        compared = ["", ""]
        if arm != OURS:
            compared = ["yes" if apart(curve, ours) else "no", _there(ours, curve.medians[-1])]
        yield [ARMS[arm].title, str(curve.steps), *cells, *compared]


def _there(ours: Curve, quality: float) -> str:
    seconds = ours.reaches(quality)
    if math.isinf(seconds):
        return "not yet: the arm is ahead"
    return f"{number(seconds)} s" if seconds else f"{ours.seconds[0]:g} s or less"


def _method(problem: Problem, seeds: int) -> str:
    training, size = problem.study.training, problem.members
    return f"""## How this is measured

- The problem is the quickstart's: {training.members} members to learn from on \
{"x".join(map(str, training.simulation.grid.shape))} points, its network \
({training.surrogate.backbone.kind}, width {training.surrogate.backbone.width}, \
{training.surrogate.backbone.modes} waves, {training.surrogate.backbone.layers} layers), its rate \
of learning after a warm-up, in batches of {BATCH}; weights are averaged by a power of the step, \
of relative width {WIDTH:g}. The rate does not fall, so that every mark is as good as a training \
that was meant to end there, and none is as good as one that was.
- The clock is the processor's time of making batches, gradients and steps. At each mark \
{size} members are drawn by the averaged weights in {SAMPLER.steps} evaluations of the network \
(multistep, second order, no calibration), and scored against {size} of the \
{len(problem.unseen)} members of the solver that no training saw.
- **All scores** is the geometric mean, over the library's scores, of max(1, score / 95% quantile \
of its floor); **gradient W₁** one of them, over the same quantile. Scores are those of \
`pushforward.compare`.
- **Scalar EDM** and **no preconditioning** are a network that sees and answers one noisy field, \
with one scale for all its waves (`benchmarks/quality/preconditioning.py`). With the \
preconditioning goes all that follows from knowing single coefficients, so these arms lack it: \
four colours of input and two of output, gains of bands, coarser grids for what is drowned in \
noise, the loss `turn`, and more of the noisy levels in a batch. They are trained by the mean \
square over space of what their network gets wrong, 1 at the start as ours is, at levels that are \
even in log snr (EDM's own are lognormal), and hear the same condition, band by band. Gradients \
are clipped at {CLIP:g} for all.
- **White** noise is the study's own (GUD with a = 1). Coloured noise has the data's spectrum \
(a = 0) or that of a Matérn field, and longer ends of its path, log snr from -7 to 8, since all \
its waves clear up together.
- **Levels** have a quarter of the time each but the last, with the same members and noise."""
