"""Pictures of the report: lines as SVG that follows the page's colours, fields as small PNGs.

A figure is drawn once with stand-in colours, which the page's style sheet then resolves: the same
drawing serves a light screen, a dark one and paper. Text stays text, set in the page's font.
The solver is ink, the trained surrogate solid blue, the Gaussian one dashed orange (Okabe and
Ito's palette, told apart in every form of colour blindness, and by the dashes without colour).

Fields are shown as functions: on a grid of at least 128 points an axis, by spectral
interpolation, and as palette images, so that a page with a dozen of them stays small.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from PIL import Image
from torch import Tensor

from pushforward.solvers import Grid

INK, MUTED, FAINT = "#010101", "#020202", "#030303"
COLOURS = {"solver": "#040404", "trained": "#050505", "gaussian": "#060606"}
VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    FAINT: "faint",
    **{colour: name for name, colour in COLOURS.items()},
}
DASHES = {"solver": "-", "trained": "-", "gaussian": (0, (4, 2))}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 11,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 12,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
SIZE = (4.7, 4.1)
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def spectrum(curves: xr.Dataset, variable: str, label: str) -> str:
    """The spectra over the resolved shells, and below them their ratio to the solver's."""
    data = curves.sel(variable=variable)
    shell = np.flatnonzero(data.resolved.values)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.1, 1))
        solver = data.spectrum.sel(ensemble="solver").values[shell]
        for name, line in _each(data, "spectrum"):
            middle, low, high = (values[shell] for values in line)
            _line(above, name, shell, middle, low, high)
            _line(below, name, shell, middle / solver, low / solver, high / solver)
        above.set(title=label, xscale="log", yscale="log")
        low, high = _ratio_limits(data, shell, solver)
        waves = "wave number" if curves.attrs.get("boundary") != "neumann" else "half waves"
        below.set(xlabel=f"{waves} k (shell)", yscale="log", ylim=(low, high))
        below.set_title("over the solver's", color=MUTED, fontsize=11)
        _plain_ticks(below, low, high)
        for axes in (above, below):
            _powers(axes, "xy" if axes is above else "")
        _shell_ticks(below, shell)
        return _svg(figure, f"{label}, by wave number, with 95% bands", f"spectrum {variable}")


def density(curves: xr.Dataset, variable: str, name: str, label: str) -> str:
    """The density of values (`density`) or derivatives (`gradient_density`), on a log axis."""
    data = curves.sel(variable=variable)
    at = data["value" if name == "density" else "slope"].values
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        values = data[name].values
        floor = values[values > 1e-9 * values.max()].min() / 2  # below that it is round-off
        for ensemble, (middle, low, high) in _each(data, name):
            shown = np.where(middle > floor, middle, np.nan)
            _line(axes, ensemble, at, shown, np.maximum(low, floor), np.maximum(high, floor))
        unit = "standard deviations" if name == "density" else "root mean squares"
        axes.set(title=label, yscale="log", xlabel=f"in {unit} of the solver", ylim=(floor, None))
        _powers(axes, "y")
        return _svg(figure, f"{label}, with 95% bands", f"{name} {variable}")


def history(steps: Sequence[float], loss: Sequence[float], held_out: dict[float, float]) -> str:
    """The training loss (thin: each entry, thick: a running mean) and the held-out loss (dots)."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        values = np.asarray(loss, dtype=float)
        width = max(1, len(values) // 40)
        axes.plot(steps, values, color=COLOURS["trained"], lw=0.5, alpha=0.35)
        if len(values) >= 2 * width:
            mean = np.convolve(values, np.ones(width) / width, mode="valid")
            middle = np.asarray(steps)[(width - 1) // 2 :][: len(mean)]
            axes.plot(middle, mean, color=COLOURS["trained"])
        if held_out:
            axes.plot(
                list(held_out), list(held_out.values()), color=INK, marker="o", ms=3.5, lw=0.8
            )
        positive = values[values > 0]
        if len(positive) == len(values) and len(values) and values.max() > 5 * values.min():
            axes.set_yscale("log")
            _plain_ticks(axes, values.min(), values.max())
        axes.set(title="Loss", xlabel="training step")
        return _svg(figure, "training and held-out loss by step", "history")


def calibration(log_snr: Sequence[float], ratio: np.ndarray) -> str:
    """The denoiser's calibration (level, shell), 1 where exact, NaN where there is none.

    One line for each noise level, the darker the noisier.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        shown = [i for i in np.argsort(log_snr)[::-1] if np.isfinite(ratio[i]).sum() > 1]
        shells = np.arange(ratio.shape[1])
        for place, i in enumerate(shown):
            dark = 0.3 + 0.7 * (place + 1) / len(shown)
            axes.plot(shells, ratio[i], color=COLOURS["trained"], alpha=dark, marker=".", ms=4)
        axes.axhline(1, color=MUTED, lw=0.6)
        axes.set(title="Calibration on held-out members", xlabel="wave number k (shell)")
        return _svg(figure, "calibration of the denoiser per shell, 1 where exact", "calibration")


def images(
    fields: Tensor, grid: Grid, lowest: float, highest: float, diverging: bool
) -> list[str]:
    """Members (member, *grid) as PNG data URLs, `lowest` to `highest` on one colour scale.

    Of a field on one axis the values are drawn as rows, of one on three the first plane is shown.

    >>> images(torch.randn(2, 16, 16), Grid((16, 16)), -3, 3, True)[0][:22]
    'data:image/png;base64,'
    """
    plane = replace(grid, shape=grid.shape[-2:], extent=grid.extent[-2:])
    fine = replace(plane, shape=tuple(max(n, 128) for n in plane.shape))
    flat = fields if grid.ndim < 3 else fields[:, 0]
    shown = plane.resample(flat.double(), fine)
    if grid.ndim == 1:
        shown = shown[:, None].expand(-1, 32, -1)
    level = (shown - lowest) / max(highest - lowest, 1e-300) * 255
    return [_png(x.flip(0), diverging) for x in level.round().clamp(0, 255).to(torch.uint8)]


def scale(diverging: bool) -> str:
    """The colour scale itself, as a data URL, one pixel high."""
    return _png(torch.arange(256, dtype=torch.uint8)[None], diverging)


def _png(levels: Tensor, diverging: bool) -> str:
    colours = mpl.colormaps["RdBu_r" if diverging else "viridis"](np.arange(256))[:, :3]
    image = Image.fromarray(levels.numpy().copy()).convert("P")
    image.putpalette((colours * 255).round().astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _each(data: xr.Dataset, name: str) -> Iterable[tuple[str, list[np.ndarray]]]:
    """Every ensemble's middle, low and high values, the solver's first so that it lies below."""
    present = [str(ensemble) for ensemble in data.ensemble.values]
    for ensemble in ("solver", "gaussian", "trained"):
        if ensemble in present:
            chosen = data.sel(ensemble=ensemble)
            yield ensemble, [chosen[name + suffix].values for suffix in ("", "_low", "_high")]


def _line(
    axes: Axes, name: str, x: np.ndarray, middle: np.ndarray, low: np.ndarray, high: np.ndarray
) -> None:
    wide = 2.4 if name == "solver" else 1.5
    axes.fill_between(x, low, high, color=COLOURS[name], alpha=0.18, lw=0)
    axes.plot(x, middle, color=COLOURS[name], ls=DASHES[name], lw=wide)


def _ratio_limits(data: xr.Dataset, shell: np.ndarray, solver: np.ndarray) -> tuple[float, float]:
    ratios = data.spectrum.values[:, shell] / solver
    low, high = np.nanmin(ratios), np.nanmax(ratios)
    reach = float(np.clip(max(high, 1 / max(low, 1e-3)) * 1.1, 1.25, 30))
    return 1 / reach, reach


def _powers(axes: Axes, which: str) -> None:
    """Powers of ten as 10⁻³ on log axes; no minor labels."""

    def text(value: float, _: object) -> str:
        exponent = round(np.log10(value)) if value > 0 else 0
        if -1 <= exponent <= 2:
            return f"{value:g}"
        return f"10{str(exponent).translate(SUPERSCRIPT)}"

    for letter in which:
        axis = axes.xaxis if letter == "x" else axes.yaxis
        axis.set_major_locator(LogLocator(numticks=6))
        axis.set_major_formatter(FuncFormatter(text))
        axis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", length=0)


def _plain_ticks(axes: Axes, low: float, high: float) -> None:
    """A handful of round numbers on a short logarithmic y axis."""
    finest = [0.8, 1, 1.25] if high / low < 2.2 else [0.5, 1, 2]
    choices = finest if high / low < 12 else [0.1, 0.3, 1, 3, 10]
    if not any(low <= choice <= high for choice in choices):
        return
    axes.yaxis.set_major_locator(FixedLocator(choices))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylim(low, high)


def _shell_ticks(axes: Axes, shell: np.ndarray) -> None:
    at = [k for k in (1, 2, 5, 10, 20, 50, 100, 200, 500) if shell[0] <= k <= shell[-1]]
    axes.xaxis.set_major_locator(FixedLocator(at))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _svg(figure: Figure, words: str, salt: str) -> str:
    """The figure as an SVG element whose colours and font are the page's."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", text)
    text = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font: \1px var(--sans)", text)
    for colour, name in VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    return text.replace("<svg", f'<svg role="img" aria-label="{words}"', 1)
