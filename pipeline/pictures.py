"""Pictures of ensembles: contact sheets, and animations that loop.

    from pushforward.pictures import animation, contact_sheet

    contact_sheet(ensemble).savefig("ensemble.png")      # members across, times and variables down
    animation(ensemble, "ensemble.gif")

Both take labelled arrays from anywhere: dimensions `member` and `time`, if there are such, and one
to three of space (`ensemble` sets several ensembles below each other). A variable has one colour
scale for all members and times. Panels are placed in inches, so that nothing overlaps whatever is
shown.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from pushforward import files
from pushforward.colours import DIVERGING, SEQUENTIAL
from pushforward.sheets import DPI, INK, MUTED, STYLE, Sheet
from pushforward.views import views

MADE_BY = "pushforward"  # how a picture says whose it is
MEMBERS, TIMES = 5, 3  # of a contact sheet
MOVING, FRAMES = 3, 100  # members and frames of an animation, at most
SECONDS, QUICKEST, SLOWEST = 5.0, 0.06, 0.8  # of a loop; of one of its frames
SMALL = 84  # dots an inch of an animation


def contact_sheet(
    fields: xr.DataArray | xr.Dataset,
    *,
    members: int = MEMBERS,
    times: int = TIMES,
    title: str | None = None,
) -> Figure:
    """A few members of each variable, at a few times: a figure to save.

    The first `members` are shown, and `times` from the first to the last; what has one axis is
    shown as time over space, or as curves where there are few times. `title` is that of the
    dataset if it is not given.

    Raises ValueError for a variable without one to three axes of space, TypeError for what is no
    labelled array.

    >>> fields = xr.DataArray(np.random.rand(9, 5, 8, 8), dims=("member", "time", "y", "x"))
    >>> len(contact_sheet(fields, members=4, times=2).axes)     # 8 panels and a bar of colours
    9
    """
    title = str(fields.attrs.get("title", "")) if title is None else title
    with mpl.rc_context(STYLE):
        return Sheet(views(fields, members, times), title).figure


def animation(
    fields: xr.DataArray | xr.Dataset,
    path: str | Path,
    *,
    members: int = MOVING,
    title: str | None = None,
) -> Path:
    """Writes a GIF of the variables that have several times, a frame a time; returns its path.

    Of more than 100 times as many are shown, spread over all. It loops for ever; one turn
    takes about five seconds. All frames have the same colours, chosen beforehand.

    Raises ValueError where nothing has several times, or has no axes of space.

    >>> import tempfile
    >>> fields = xr.DataArray(np.random.rand(2, 5, 8, 8), dims=("member", "time", "y", "x"))
    >>> Image.open(animation(fields, Path(tempfile.mkdtemp()) / "it.gif")).n_frames
    5
    """
    shown = views(fields, members, FRAMES, moving=True)
    if not shown:
        raise ValueError(
            "expected a variable with several times, got none; `contact_sheet` shows what has one"
        )
    title = str(fields.attrs.get("title", "")) if title is None else title
    with mpl.rc_context(STYLE):
        images = _frames(Sheet(shown, title, one=True), min(len(view.rows) for view in shown))
    buffer, count = io.BytesIO(), len(images)
    pause = float(np.clip(SECONDS / count, QUICKEST, SLOWEST))
    images[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=images[1:],
        duration=round(100 * pause) * 10,  # a GIF counts hundredths
        loop=0,
        comment=MADE_BY.encode(),
    )
    files.write_bytes(Path(path), buffer.getvalue())
    return Path(path)


def learning_curve(lines: Sequence[dict[str, Any]], *, title: str = "") -> Figure:
    """The losses of a training by step, of the lines that it logs (see `curve`).

    >>> len(learning_curve([{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}]).axes)
    1
    """
    steps, loss = ([line[key] for line in lines] for key in ("step", "loss"))
    tested = [line for line in lines if line.get("held_out_loss") is not None]
    with mpl.rc_context({**STYLE, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(5.6, 3.4), layout="constrained")
        axes = figure.subplots()
        axes.plot(steps, loss, color="#0072b2", label="training")
        if tested:
            x, y = ([line[key] for line in tested] for key in ("step", "held_out_loss"))
            axes.plot(x, y, "o-", color=INK, ms=3.5, lw=0.8, label="held out")
        if min(loss) > 0 and max(loss) > 5 * min(loss):
            axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(title, loc="left", fontsize=10, weight="bold")
        axes.set_xlabel("training step")
        axes.set_ylabel("loss")
        axes.legend(frameon=False)
        return figure


def save(figure: Figure, path: Path) -> Path:
    """Stores a figure as PNG, whole or not at all, marked as a picture of ours."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": MADE_BY})
    files.write_bytes(path, buffer.getvalue())
    return path


def ours(path: Path) -> bool:
    """Whether a file is a picture that this room made.

    >>> ours(Path(__file__))
    False
    """
    try:
        with Image.open(path) as image:
            mark = image.info.get("Software") or image.info.get("comment")
    except (OSError, Image.DecompressionBombError):  # no picture at all, or not of ours
        return False
    return mark in (MADE_BY, MADE_BY.encode())


def _frames(sheet: Sheet, count: int) -> list[Image.Image]:
    """The sheet with each of its rows, in the colours of one palette."""
    sheet.figure.set_dpi(SMALL)
    canvas = FigureCanvasAgg(sheet.figure)
    diverging = {view.scale.diverging for view in sheet.views if view.kind == "image"}
    palette = _palette(
        [DIVERGING if one else SEQUENTIAL for one in sorted(diverging)] or ["Blues"]
    )
    images = []
    for row in range(count):
        sheet.turn(row)
        canvas.draw()
        pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
        images.append(pixels.quantize(palette=palette, dither=Image.Dither.NONE))
    return images


def _palette(colour_maps: Sequence[str]) -> Image.Image:
    """The colours of all frames: those of the scales, and greys for words and lines.

    Chosen beforehand, so that nothing flickers, and fewer than 256, so that a file stays small.
    """
    shades = 96 // len(colour_maps)
    scales = [mpl.colormaps[name](np.linspace(0, 1, shades))[:, :3] for name in colour_maps]
    greys = np.linspace(0, 1, 24)[:, None].repeat(3, 1)
    inks = [[int(ink[i : i + 2], 16) / 255 for i in (1, 3, 5)] for ink in (INK, MUTED)]
    colours = np.concatenate([*scales, greys, inks])
    image = Image.new("P", (1, 1))
    image.putpalette((colours * 255).round().astype(np.uint8).tobytes())
    return image
