"""What the report's figures share: colours, lines with bands, ticks, and how they become SVG.

A figure is drawn once with stand-in colours, which the page's style sheet then resolves: the same
drawing serves a light screen, a dark one and paper. Text stays text, set in the page's font.
The solver is ink, the trained surrogate solid blue, the Gaussian one dashed orange (Okabe and
Ito's palette, told apart in every form of colour blindness, and by the dashes without colour).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

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


def each(data: xr.Dataset, name: str) -> Iterable[tuple[str, list[np.ndarray]]]:
    """Every ensemble's middle, low and high values, the solver's first so that it lies below."""
    present = [str(ensemble) for ensemble in data.ensemble.values]
    for ensemble in ("solver", "gaussian", "trained"):
        if ensemble in present:
            chosen = data.sel(ensemble=ensemble)
            yield ensemble, [chosen[name + suffix].values for suffix in ("", "_low", "_high")]


def stroke(
    axes: Axes, name: str, x: np.ndarray, middle: np.ndarray, low: np.ndarray, high: np.ndarray
) -> None:
    wide = 2.4 if name == "solver" else 1.5
    axes.fill_between(x, low, high, color=COLOURS[name], alpha=0.18, lw=0)
    axes.plot(x, middle, color=COLOURS[name], ls=DASHES[name], lw=wide)


def ratio_limits(data: xr.Dataset, shell: np.ndarray, solver: np.ndarray) -> tuple[float, float]:
    ratios = data.spectrum.values[:, shell] / solver
    low, high = np.nanmin(ratios), np.nanmax(ratios)
    reach = float(np.clip(max(high, 1 / max(low, 1e-3)) * 1.1, 1.25, 30))
    return 1 / reach, reach


def powers(axes: Axes, which: str) -> None:
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


def shell_ticks(axes: Axes, shell: np.ndarray) -> None:
    at = [k for k in (1, 2, 5, 10, 20, 50, 100, 200, 500) if shell[0] <= k <= shell[-1]]
    axes.xaxis.set_major_locator(FixedLocator(at))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def few(axes: Axes) -> None:
    """Round numbers on a logarithmic axis that spans little."""
    low, high = axes.get_ylim()
    choices = [x for x in (1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100, 300)]
    shown = [x for x in choices if low <= x <= high]
    while len(shown) > 4:
        shown = shown[::2]
    axes.yaxis.set_major_locator(FixedLocator(shown))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def number(value: float, _: object = None) -> str:
    """A tick in few digits, with powers of ten as 10\u207b\u2074.

    >>> number(0.0), number(-0.25), number(2e-6)
    ('0', '\u22120.25', '2\u00b710\u207b\u2076')
    """
    text = f"{value:.3g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = f"{mantissa}\u00b710{str(int(exponent)).translate(SUPERSCRIPT)}"
    return text.replace("-", "\u2212")


def plain_ticks(axes: Axes, low: float, high: float) -> None:
    """A handful of round numbers on a short logarithmic y axis."""
    finest = [0.8, 1, 1.25] if high / low < 2.2 else [0.5, 1, 2]
    choices = finest if high / low < 12 else [0.1, 0.3, 1, 3, 10]
    if not any(low <= choice <= high for choice in choices):
        return
    axes.yaxis.set_major_locator(FixedLocator(choices))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylim(low, high)


def svg(figure: Figure, words: str, salt: str) -> str:
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
