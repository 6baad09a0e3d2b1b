"""The figure: a column a question, a row a measure, medians with the range of the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from .arms import ARMS, OURS, QUESTIONS
from .curves import MEASURES, Curve, Row, start

COLOURS = ("#1b6ca8", "#d1495b", "#e9a03b", "#66717e")  # ours first


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draws and stores it."""
    figure, axes = plt.subplots(
        len(MEASURES), len(QUESTIONS), figsize=(11, 7), sharex=True, layout="constrained"
    )
    for axis_row, measure in zip(axes, MEASURES, strict=True):
        for axis, (question, arms) in zip(axis_row, QUESTIONS.items(), strict=True):
            for colour, arm in zip(COLOURS, arms, strict=False):
                curve = Curve.of(rows, arm, measure)
                low, high = zip(*((v[0], v[-1]) for v in curve.values), strict=True)
                axis.fill_between(curve.seconds, low, high, color=colour, alpha=0.18, lw=0)
                width = 2.2 if arm == OURS else 1.5
                axis.plot(
                    curve.seconds, curve.medians, "o-", color=colour, lw=width, ms=4,
                    label=ARMS[arm].title,
                )  # fmt: skip
            axis.axhline(1, color="black", lw=0.8, ls=":")
            axis.axhline(
                start(rows, measure), color="black", lw=0.8, ls="--", label="Gaussian surrogate"
            )
            axis.set(xscale="log", yscale="log")
            axis.set_xticks(curve.seconds)
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
            for line in (axis.xaxis, axis.yaxis):
                line.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                line.set_minor_formatter(NullFormatter())
                line.set_minor_locator(NullLocator())
            axis.spines[["top", "right"]].set_visible(False)
            if measure == next(iter(MEASURES)):
                axis.set_title(question, loc="left", fontweight="bold")
            else:
                axis.set_xlabel("seconds of the processor")
                axis.legend(
                    frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(-0.02, -0.2)
                )
        axis_row[0].set_ylabel(f"{measure}, in floors of the solver")
    figure.savefig(path, dpi=120)
    plt.close(figure)
