"""The paper that pictures are drawn on: panels in rows and columns, words, and bars of colours.

    title                                   t = 0.5
    vorticity (what it is)
              member 0   member 1   member 2
    t = 0.5     [  ]       [  ]       [  ]    |
    t = 1       [  ]       [  ]       [  ]    | bar

Everything is placed in inches, from the top, so that nothing overlaps whatever is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from pushforward.strokes import number
from pushforward.views import View, length

WIDTH, NARROWEST, LARGEST = 9.0, 4.6, 2.1  # inches: a sheet, one with few panels, a panel
TALLEST = 9.5  # all rows of panels together
LEFT, RIGHT, TOP, BOTTOM = 0.8, 0.98, 0.4, 0.32
HEAD, NAMES, GAP, FOOT, BETWEEN = 0.24, 0.2, 0.07, 0.36, 0.16
DPI = 150
INK, MUTED = "#1b1b1b", "#63676c"
STYLE: dict[Any, Any] = {
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "figure.facecolor": "white",
}


class Sheet:
    """A figure of some views; `one` row of each to begin with, or all of them.

    `turn` puts other rows into the panels.
    """

    def __init__(self, views: Sequence[View], title: str, one: bool = False) -> None:
        self.views = views
        self.columns = max(len(view.members) for view in views)
        counts = [1 if one else len(view.rows) for view in views]
        room = WIDTH - LEFT - RIGHT - (self.columns - 1) * GAP
        tall = sum(view.aspect * count for view, count in zip(views, counts, strict=True))
        self.panel = min(LARGEST, room / self.columns, TALLEST / tall)
        self.width = max(self._right + RIGHT, NARROWEST)
        heights = [self._height(v, n) for v, n in zip(views, counts, strict=True)]
        self.names = NAMES if any(views[0].members) else 0.0
        head = TOP if title or one else 0.1
        self.height = head + self.names + sum(heights) + BETWEEN * (len(views) - 1) + BOTTOM
        self.figure = Figure(figsize=(self.width, self.height), dpi=DPI)
        self.artists: list[list[Any]] = []  # of each view, member by member: those of its rows
        fits = (self.width - (1.1 if one else 0.2)) / max(len(title), 1) / 0.0095  # in points
        self._say(0.1, 0.1, title, size=min(10, fits), weight="bold", va="top")
        self.moment = self._say(self.width - 0.1, 0.1, "", size=10, ha="right", va="top")
        at = head
        for view, count, height in zip(views, counts, heights, strict=True):
            self._group(view, count, at, named=view is views[0], labelled=not one)
            at += height + BETWEEN + (self.names if view is views[0] else 0)
        self._say(0.1, self.height - 0.1, _points(views), size=7.5, color=MUTED)

    def turn(self, row: int) -> None:
        """Shows another row of every view; only of a sheet that has one of each."""
        for view, artists in zip(self.views, self.artists, strict=True):
            for member, artist in enumerate(artists):
                values = view.values[row, member]
                if view.kind == "curves":
                    artist.set_ydata(values[0])
                else:
                    artist.set_data(values)
        self.moment.set_text(self.views[0].rows[row])

    @property
    def _right(self) -> float:
        return LEFT + self.columns * self.panel + (self.columns - 1) * GAP

    def _height(self, view: View, rows: int) -> float:
        foot = 0 if view.kind == "image" else FOOT
        return HEAD + rows * self.panel * view.aspect + (rows - 1) * GAP + foot

    def _group(self, view: View, count: int, top: float, named: bool, labelled: bool) -> None:
        """The panels of a view from `top` downwards, in inches, with a bar beside them."""
        name = self._say(LEFT, top + HEAD / 2, view.name, weight="bold")
        top += HEAD
        if named:
            for column, member in enumerate(view.members):
                middle = LEFT + column * (self.panel + GAP) + self.panel / 2
                self._say(middle, top + 0.12, member, ha="center", color=MUTED)
            top += self.names
        tall = self.panel * view.aspect
        drawn: list[Any] = []
        for row in range(count):
            above = top + row * (tall + GAP)
            if labelled:
                self._label(view, view.rows[row], above + tall / 2)
            for column in range(len(view.members)):
                left = LEFT + column * (self.panel + GAP)
                axes = self._axes(left, above, self.panel, tall)
                drawn.append(_draw(axes, view, row, column))
                _ticks(axes, view, column == 0, row == count - 1)
        self.artists.append(drawn)
        beside: dict[str, Any] = {"xycoords": name, "textcoords": "offset points"}
        beside["parse_math"] = False
        drawn[0].axes.annotate(view.about, (1, 0), (7, 0), color=MUTED, va="bottom", **beside)
        if view.kind != "curves":
            self._bar(view, top, count * tall + (count - 1) * GAP)
        elif labelled and len(view.curves) > 1:
            self._legend(view, top)

    def _label(self, view: View, words: str, middle: float) -> None:
        """What a row is, left of it; upright where the ticks of an axis are there."""
        if view.kind == "image":
            self._say(LEFT - 0.1, middle, words, ha="right")
        else:
            self._say(0.16, middle, words, ha="center", rotation=90)

    def _bar(self, view: View, top: float, whole: float) -> None:
        tall = min(whole, 2.4)
        axes = self._axes(self._right + 0.12, top + (whole - tall) / 2, 0.09, tall)
        bar = self.figure.colorbar(
            ScalarMappable(**view.scale.drawn),
            cax=axes,
            extend=view.scale.extend,
            extendfrac=0.04,
            ticks=MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]),
            format=FuncFormatter(number),
        )
        bar.outline.set_linewidth(0)  # type: ignore[operator]
        axes.tick_params(labelsize=7.5, length=2)

    def _legend(self, view: View, top: float) -> None:
        """Which shade is which time."""
        for line, words in enumerate(view.curves):
            shade = _shades(len(view.curves))[line]
            self._say(self._right + 0.12, top + 0.1 + 0.17 * line, words, color=shade)

    def _axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self.height - top - height
        return self.figure.add_axes(
            (left / self.width, bottom / self.height, width / self.width, height / self.height)
        )

    def _say(self, left: float, top: float, words: str, **how: Any) -> Text:
        how = {"va": "center", "parse_math": False} | how  # words of others, as they are
        return self.figure.text(left / self.width, 1 - top / self.height, words, **how)


def _draw(axes: Axes, view: View, row: int, member: int) -> Any:
    """A panel; returns the artist that `Sheet.turn` puts other values into."""
    values = view.values[row, member]
    if view.kind == "curves":
        low, high = _reach(view.values)
        axes.set(xlim=_ends(view.across[1]), ylim=(low, high))
        if low < 0 < high:
            axes.axhline(0, color=MUTED, lw=0.4)
        lines = [
            axes.plot(view.across[1], one, color=shade, lw=1.1)[0]
            for one, shade in zip(values, _shades(len(values)), strict=True)
        ]
        return lines[-1]
    extent = (*_ends(view.across[1]), *_ends(view.up[1]))
    coarse = max(values.shape) < 256  # a field is a function, not its pixels
    return axes.imshow(
        values,
        origin="lower",
        aspect="auto",
        extent=extent,
        interpolation="bicubic" if coarse else "auto",
        interpolation_stage="data",
        **view.scale.drawn,
    )


def _shades(count: int) -> NDArray[Any]:
    """Colours of curves, the last the darkest."""
    return mpl.colormaps["Blues"](np.linspace(0.35, 0.95, count + 1))[1:]


def _ticks(axes: Axes, view: View, first: bool, last: bool) -> None:
    """Numbers at the outer panels, none at images of space."""
    if view.kind == "image":
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return
    for axis, shown in ((axes.xaxis, last), (axes.yaxis, first)):
        axis.set_major_locator(MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(FuncFormatter(number))
        axis.set_tick_params(labelsize=7.5, pad=2)
        if not shown:
            axis.set_tick_params(length=0, labelbottom=False, labelleft=False)
    if last:
        axes.set_xlabel(view.across[0], labelpad=1)
    if first and view.kind == "history":
        axes.set_ylabel(view.up[0], labelpad=2)


def _ends(points: NDArray[Any]) -> tuple[float, float]:
    """Where the first cell begins and the last one ends."""
    half = length(points) / len(points) / 2 * (1 if points[-1] >= points[0] else -1)
    return float(points[0] - half), float(points[-1] + half)


def _reach(values: NDArray[Any]) -> tuple[float, float]:
    """The ends of an axis for all the curves of a variable."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = 0.06 * (high - low) or max(abs(high), 1.0) / 2
    return low - margin, high + margin


def _points(views: Sequence[View]) -> str:
    """How many points there are, and how long the box is."""
    view = views[0]
    axes = [view.up[1], view.across[1]] if view.kind == "image" else [view.across[1]]
    count = " × ".join(str(len(x)) for x in axes)
    if all(np.array_equal(x, np.arange(len(x))) for x in axes):  # nobody said where they are
        return f"{count} points"
    return f"{count} points on {' × '.join(number(length(x)) for x in axes)}"
