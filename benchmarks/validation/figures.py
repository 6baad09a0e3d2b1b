"""The page's pictures, all small."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter
from PIL import Image

from .budgets import Closure
from .curves import FLOOR, Curve, expected
from .further import Points

INK = {"ifrk32": "#b35806", "ifrk43": "#1b7837", "ifrk54": "#2166ac", "etdrk4": "#762a83"}
INK |= {"etdrk2": "#878787"}
MOST = 150_000  # bytes


def orders(curves: Sequence[Sequence[Curve]], plate: Points, path: Points, to: Path) -> None:
    """Error against step, a panel an equation, dashed lines with the slopes expected."""
    panels = [group for group in curves if group]
    figure, axes = _panels(len(panels) + 2)
    for axis, group in zip(axes, panels, strict=False):
        for curve in group:
            steps, errors = zip(*curve.points, strict=True)
            ink = INK[curve.scheme]
            axis.loglog(steps, errors, "o-", ms=3, lw=1.2, color=ink, label=curve.scheme)
            _slope(axis, curve.points, expected(curve), ink)
        axis.set_title(group[0].subject.title, fontsize=9)
        axis.legend(fontsize=6.5, frameon=False)
    for axis, points, order, title in (
        (axes[len(panels)], plate, 2, "Darcy: error v width of cells"),
        (axes[len(panels) + 1], path, 1, "stochastic Burgers: strong error"),
    ):
        axis.loglog(*zip(*points, strict=True), "o-", ms=3, lw=1.2, color="k")
        _slope(axis, points, order, "k")
        axis.set_title(title, fontsize=9)
    for axis in axes:
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        axis.xaxis.set_minor_formatter(NullFormatter())
    figure.supxlabel("step", fontsize=9)
    figure.supylabel("relative L2 error", fontsize=9)
    _save(figure, to)


def tolerances(curves: Sequence[Curve], to: Path) -> None:
    """Error against tolerance, and against the number of steps."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for i, curve in enumerate(curve for curve in curves if curve.subject.counts):
        tolerance, errors = zip(*curve.points, strict=True)
        ink = plt.get_cmap("tab10")(i)
        label = f"{curve.subject.title} ({curve.scheme})"
        left.loglog(tolerance, errors, "o-", ms=3, lw=1.2, color=ink, label=label)
        right.loglog(curve.steps, errors, "o-", ms=3, lw=1.2, color=ink)
    ends = np.array([min(tolerance), max(tolerance)])
    left.loglog(ends, ends, "k--", lw=0.8)
    left.fill_between(ends, ends / 10, ends * 10, color="k", alpha=0.06)
    left.set(xlabel="tolerance", ylabel="relative L2 error")
    right.set(xlabel="steps, rejected ones too")
    left.legend(fontsize=6, frameon=False)
    _save(figure, to)


def budgets(closures: Sequence[Closure], to: Path) -> None:
    """Injection, dissipation and growth, and what is missing between them."""
    figure, axes = plt.subplots(1, len(closures), figsize=(9, 3.2), layout="constrained")
    for axis, one in zip(axes, closures, strict=True):
        growth = torch.gradient(one.budget.amount, spacing=float(one.times[1]))[0]
        drained = one.budget.viscosity + one.budget.drag
        axis.plot(one.times, one.budget.injection, color="#b2182b", label="injection")
        axis.plot(one.times, drained, color="#2166ac", label="dissipation")
        both = drained + growth
        axis.plot(one.times, both, "k:", lw=1.6, label="dissipation + growth")
        axis.set_title(f"{one.name}: {one.missing:.1e} of it missing at the end", fontsize=9)
        axis.set(xlabel="t")
        axis.legend(fontsize=7, frameon=False)
    _save(figure, to)


def frames(labels: Sequence[str], fields: torch.Tensor, names: Sequence[str], to: Path) -> None:
    """A column a frame, a row a channel; lines for one axis, colours for two."""
    rows, columns = fields.shape[1], len(labels)
    size = (2.1 * columns + 0.4, 2.1 * rows + 0.3)
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    for row, name in enumerate(names):
        for column, label in enumerate(labels):
            axis, u = axes[row, column], fields[column, row].double().numpy()
            if u.ndim == 1:
                axis.plot(u, lw=1, color="#2166ac")
                axis.set_xticks([])
                axis.tick_params(labelsize=6)
            else:
                signed = u.min() < -0.2 * u.max()
                bound = np.abs(u).max()
                limits = (-bound, bound) if signed else (u.min(), u.max())
                ink = "RdBu_r" if signed else "viridis"
                axis.imshow(u, cmap=ink, vmin=limits[0], vmax=limits[1], origin="lower")
                axis.set(xticks=[], yticks=[])
            if row == 0:
                axis.set_title(label, fontsize=8)
        axes[row, 0].set_ylabel(name.replace("_", " "), fontsize=8)
    _save(figure, to)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    columns = 3
    rows = -(-count // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(9, 2.6 * rows), layout="constrained")
    flat = list(np.ravel(axes))
    for axis in flat[count:]:
        axis.set_visible(False)
    for axis in flat:
        axis.tick_params(labelsize=7)
    return figure, flat


def _slope(axis: Axes, points: Points, order: int, ink: str) -> None:
    """A line of a given slope through the finest point that round-off has not reached."""
    clear = [(s, e) for s, e in points if e > FLOOR] or list(points)
    step, error = clear[-1]
    longest = max(s for s, _ in points)
    line = [(s, error * (s / step) ** order) for s in (step, longest)]
    axis.loglog(*zip(*line, strict=True), "--", lw=0.7, color=ink)


def _save(figure: Figure, to: Path) -> None:
    """As a PNG of few colours, smaller until it is small enough."""
    for dpi in (110, 95, 80, 65, 50):
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=dpi, format="png")
        picture = Image.open(buffer).convert("RGB").quantize(128, dither=Image.Dither.NONE)
        small = io.BytesIO()
        picture.save(small, "png", optimize=True)
        if small.tell() < MOST:
            break
    plt.close(figure)
    to.write_bytes(small.getvalue())
