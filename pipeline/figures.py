"""Pictures of the report: SVG that follows the page's colours, and fields as small PNGs.

Here are those of training, and of the fields themselves; curves are in `pushforward.lines`.

Fields are shown as functions: on a grid of at least 128 points an axis, by spectral
interpolation, and as palette images, so that a page with a dozen of them stays small.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from pushforward.solvers import Grid
from pushforward.strokes import COLOURS, INK, MUTED, SIZE, STYLE, plain_ticks, svg

GAP = 4  # pixels between the pictures of a sheet


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
            plain_ticks(axes, values.min(), values.max())
        axes.set(title="Loss", xlabel="training step")
        return svg(figure, "training and held-out loss by step", "history")


def levels(steps: Sequence[float], loss: dict[str, np.ndarray]) -> str:
    """The running mean of the loss in bands of noise, by name, the noisiest (darkest) first."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        width = max(1, len(steps) // 20)
        for place, values in enumerate(loss.values()):
            known = np.isfinite(values)
            ones, kept = np.ones(width), np.where(known, values, 0.0)
            count = np.convolve(known, ones, mode="valid")
            with np.errstate(invalid="ignore"):
                mean = np.convolve(kept, ones, mode="valid") / count
            dark = 1 - 0.75 * place / max(len(loss) - 1, 1)
            middle = np.asarray(steps)[(width - 1) // 2 :][: len(mean)]
            axes.plot(middle, mean, color=COLOURS["trained"], alpha=dark, lw=1.1)
        axes.set(title="Loss by noise", xlabel="training step")
        label = f"training loss by mean log snr: {', '.join(loss)}"
        return svg(figure, label, "levels")


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
        return svg(figure, "calibration of the denoiser per shell, 1 where exact", "calibration")


def images(
    fields: Tensor, grid: Grid, lowest: float, highest: float, diverging: bool
) -> list[str]:
    """Members (member, *grid) as PNG data URLs, `lowest` to `highest` on one colour scale.

    Of a field on one axis the values are drawn as rows, of one on three the first plane is shown.

    >>> images(torch.randn(2, 16, 16), Grid((16, 16)), -3, 3, True)[0][:22]
    'data:image/png;base64,'
    """
    return [_url(_image(x, diverging)) for x in _levels(fields, grid, lowest, highest)]


def sheet(
    rows: Sequence[Tensor], grid: Grid, lowest: float, highest: float, diverging: bool
) -> str:
    """Rows of members, each (member, *grid), side by side as one PNG data URL.

    >>> sheet([torch.randn(2, 16, 16)] * 2, Grid((16, 16)), -3, 3, True)[:22]
    'data:image/png;base64,'
    """
    drawn = [_levels(row, grid, lowest, highest) for row in rows]
    height, width = (size + GAP for size in drawn[0].shape[-2:])
    columns = max(map(len, drawn))
    whole = Image.new("RGB", (columns * width - GAP, len(drawn) * height - GAP), "white")
    for r, row in enumerate(drawn):
        for c, levels in enumerate(row):
            whole.paste(_image(levels, diverging).convert("RGB"), (c * width, r * height))
    return _url(whole)


def _levels(fields: Tensor, grid: Grid, lowest: float, highest: float) -> Tensor:
    """Members as colours (member, row, column), 0 to 255, the first row on top."""
    plane = replace(grid, shape=grid.shape[-2:], extent=grid.extent[-2:])
    fine = replace(plane, shape=tuple(max(n, 128) for n in plane.shape))
    flat = fields if grid.ndim < 3 else fields[:, 0]
    shown = plane.resample(flat.double(), fine)
    if grid.ndim == 1:
        shown = shown[:, None].expand(-1, 32, -1)
    level = (shown - lowest) / max(highest - lowest, 1e-300) * 255
    return level.round().clamp(0, 255).to(torch.uint8).flip(-2)


def scale(diverging: bool) -> str:
    """The colour scale itself, as a data URL, one pixel high."""
    return _url(_image(torch.arange(256, dtype=torch.uint8)[None], diverging))


def _image(levels: Tensor, diverging: bool) -> Image.Image:
    colours = mpl.colormaps["RdBu_r" if diverging else "viridis"](np.arange(256))[:, :3]
    image = Image.fromarray(levels.numpy().copy()).convert("P")
    image.putpalette((colours * 255).round().astype(np.uint8).tobytes())
    return image


def _url(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
