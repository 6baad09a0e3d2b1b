"""The report's curves: every ensemble's line with its 95% band.

What is drawn is what `pushforward.profiles` made: spectra with their ratio to the solver's,
densities, structure functions with the flatness of increments, fluxes, variances of modes. A curve
that the data do not have, or that an older evaluation has not kept, is not drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from pushforward.strokes import (
    MUTED,
    SIZE,
    STYLE,
    each,
    few,
    number,
    plain_ticks,
    powers,
    ratio_limits,
    shell_ticks,
    stroke,
    svg,
)

GAUSSIAN_FLATNESS = 3


def drawings(curves: xr.Dataset, variable: str) -> list[str]:
    """All curves of a variable, those of scales first."""
    energy = bool(curves.energy.sel(variable=variable))
    parts = [spectrum(curves, variable, "Energy spectrum" if energy else "Power spectrum")]
    if energy:
        parts.append(enstrophy(curves, variable))
    optional: dict[str, Callable[[xr.Dataset, str], str]] = {
        "energy_flux": lambda c, v: flux(c, v, "energy_flux", "Flux of energy through scales"),
        "enstrophy_flux": lambda c, v: flux(
            c, v, "enstrophy_flux", "Flux of enstrophy through scales"
        ),
        "structure": structure,
        "pod": modes,
    }
    for name, draw in optional.items():
        if name in curves and bool(curves[name].sel(variable=variable).notnull().any()):
            parts.append(draw(curves, variable))
    parts.append(density(curves, variable, "density", "Density at a point"))
    parts.append(density(curves, variable, "gradient_density", "Density of derivatives"))
    return parts


def note(curves: xr.Dataset) -> str:
    """What the bands, shells and lines of the curves are."""
    parts = [
        "Bands hold 95% of bootstrap resamples of the members. Spectra are totals per integer "
        "shell, over shells that the solver resolves."
    ]
    if "structure" in curves:
        parts.append(
            "Increments: S_p(r) is the mean of |u(x + r) \u2212 u(x)| to the power p, p = 2, "
            "3, 4 and 6 from the lowest line up; below, its flatness, 3 for a Gaussian field."
        )
    if "energy_flux" in curves and bool(curves.energy_flux.notnull().any()):
        parts.append("A positive flux goes to small scales; a field with random phases has none.")
    if "pod" in curves and bool(curves.pod.notnull().any()):
        parts.append("Modes are those of the training members, which stand on neither side.")
    return " ".join(parts)


def spectrum(curves: xr.Dataset, variable: str, label: str) -> str:
    """The spectra over the resolved shells, and below them their ratio to the solver's."""
    data = curves.sel(variable=variable)
    shell = np.flatnonzero(data.resolved.values)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.1, 1))
        solver = data.spectrum.sel(ensemble="solver").values[shell]
        for name, line in each(data, "spectrum"):
            middle, low, high = (values[shell] for values in line)
            stroke(above, name, shell, middle, low, high)
            stroke(below, name, shell, middle / solver, low / solver, high / solver)
        above.set(title=label, xscale="log", yscale="log")
        low, high = ratio_limits(data, shell, solver)
        waves = "wave number" if curves.attrs.get("boundary") != "neumann" else "half waves"
        below.set(xlabel=f"{waves} k (shell)", yscale="log", ylim=(low, high))
        below.set_title("over the solver's", color=MUTED, fontsize=11)
        plain_ticks(below, low, high)
        for axes in (above, below):
            powers(axes, "xy" if axes is above else "")
        shell_ticks(below, shell)
        return svg(figure, f"{label}, by wave number, with 95% bands", f"spectrum {variable}")


def density(curves: xr.Dataset, variable: str, name: str, label: str) -> str:
    """The density of values (`density`) or derivatives (`gradient_density`), on a log axis."""
    data = curves.sel(variable=variable)
    at = data["value" if name == "density" else "slope"].values
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        values = data[name].values
        floor = values[values > 1e-9 * values.max()].min() / 2  # below that it is round-off
        for ensemble, (middle, low, high) in each(data, name):
            shown = np.where(middle > floor, middle, np.nan)
            stroke(axes, ensemble, at, shown, np.maximum(low, floor), np.maximum(high, floor))
        unit = "standard deviations" if name == "density" else "root mean squares"
        axes.set(title=label, yscale="log", xlabel=f"in {unit} of the solver", ylim=(floor, None))
        powers(axes, "y")
        return svg(figure, f"{label}, with 95% bands", f"{name} {variable}")


def enstrophy(curves: xr.Dataset, variable: str) -> str:
    """k^2 E(k) over the resolved shells: where in scale the vorticity itself lies."""
    data = curves.sel(variable=variable)
    shell = np.flatnonzero(data.resolved.values)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        for name, line in each(data, "spectrum"):
            stroke(axes, name, shell, *(values[shell] * shell**2 for values in line))
        axes.set(title="Enstrophy spectrum, k\u00b2 E(k)", xscale="log", yscale="log")
        axes.set(xlabel="wave number k (shell)")
        powers(axes, "y")
        shell_ticks(axes, shell)
        return svg(figure, "Enstrophy spectrum with 95% bands", f"enstrophy {variable}")


def flux(curves: xr.Dataset, variable: str, name: str, label: str) -> str:
    """The mean flux through every resolved shell, linear, with the line of no flux."""
    data = curves.sel(variable=variable)
    shell = np.flatnonzero(data.resolved.values)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        axes.axhline(0, color=MUTED, lw=0.6)
        for ensemble, line in each(data, name):
            stroke(axes, ensemble, shell, *(values[shell] for values in line))
        axes.set(title=label, xscale="log", xlabel="wave number k (shell)")
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.ticklabel_format(axis="y", style="plain", useOffset=False)
        axes.yaxis.set_major_formatter(FuncFormatter(number))
        axes.tick_params(which="minor", length=0)
        shell_ticks(axes, shell)
        return svg(figure, f"{label}, with 95% bands", f"{name} {variable}")


def structure(curves: xr.Dataset, variable: str) -> str:
    """S_p(r)^(1/p) for every order, and below the flatness of increments."""
    data = curves.sel(variable=variable)
    r = data.distance.values
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.7, 1))
        for order, p in enumerate(data.p.values):
            for name, line in each(data.isel(order=order), "structure"):
                stroke(above, name, r, *line)
            end = data.structure.isel(order=order, separation=-1).sel(ensemble="solver").item()
            if p in (data.p.values[0], data.p.values[-1]):
                above.annotate(
                    f"p={p:g}", (r[-1], end), (4, 0), textcoords="offset points", va="center",
                    color=MUTED, fontsize=10, annotation_clip=False,
                )  # fmt: skip
        for name, line in each(data, "increment_flatness"):
            stroke(below, name, r, *line)
        below.axhline(GAUSSIAN_FLATNESS, color=MUTED, lw=0.6)
        above.set_title("Increments, S\u209a(r) to the power 1/p")
        above.set(xscale="log", yscale="log")
        below.set(xlabel="distance r", yscale="log")
        below.set_title("their flatness", color=MUTED, fontsize=11)
        low, high = above.get_ylim()
        plain_ticks(above, low, high)
        few(below)
        at = [x for x in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100) if r[0] <= x <= r[-1]]
        below.xaxis.set_major_locator(FixedLocator(at))
        below.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        below.xaxis.set_minor_formatter(NullFormatter())
        for axes in (above, below):
            axes.tick_params(which="minor", length=0)
        return svg(figure, "Structure functions and flatness of increments", f"sf {variable}")


def modes(curves: xr.Dataset, variable: str) -> str:
    """The variance along every mode, and below its ratio to the solver's."""
    data = curves.sel(variable=variable)
    known = np.flatnonzero(data.pod.sel(ensemble="solver").notnull().values)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.1, 1))
        solver = data.pod.sel(ensemble="solver").values[known]
        ratios = []
        for name, line in each(data, "pod"):
            middle, low, high = (values[known] for values in line)
            stroke(above, name, known + 1, middle, low, high)
            stroke(below, name, known + 1, middle / solver, low / solver, high / solver)
            ratios.append(middle / solver)
        above.set(title="Variance of the largest modes (POD)", yscale="log")
        powers(above, "y")
        reach = float(np.clip(max(np.max(ratios), 1 / np.min(ratios)) * 1.1, 1.25, 30))
        below.set(xlabel="mode", yscale="log", ylim=(1 / reach, reach))
        below.set_title("over the solver's", color=MUTED, fontsize=11)
        plain_ticks(below, 1 / reach, reach)
        below.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        return svg(figure, "Variance along modes, with 95% bands", f"pod {variable}")
