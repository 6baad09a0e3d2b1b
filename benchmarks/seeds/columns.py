r"""Strips of vorticity three windows wide: whether a path by column goes on beyond its window.

Autocovariances along columns, C(l) = <u(x) u(x + l)> over rows, places and members in units of
the solver's variance, of three kinds of pairs: inside a window, across a seam (x before column W
or 2 W, x + l not) and a whole window apart. Each member is one value; errors are over members.

The box is periodic: in its window the network knows that the last column is the first one's
neighbour. A strip then cannot go on as a wider box would. What enters is drawn as columns of a
torus whose others are in the window, and on a torus of W columns the one after the last is the
first again: the strip tells the first window once more, as far as columns that have left are
remembered by those on their way. What it can be held against is the solver's own torus, at lags
below half of it, where a pair is as far apart one way round as in the strip; `apart` says how much
of a window the next one repeats (1: a copy, 0: nothing). With the exact denoiser of a Gaussian
torus of 16 columns short lags are the torus's, and a window repeats a tenth (delay 0.5) to a
quarter (0.7) of the one before and next to nothing of that before it. Windows that are drawn
independently and put side by side are the control: no correlation across a seam. They have the
gains of the calibration; strips are levelled, column by column, by twice as many others.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.seeds.cells import likelihood_table
from benchmarks.seeds.row import Table
from pushforward import Archive, Study
from pushforward.evaluation import stacked
from pushforward.generative import NeuralDenoiser, Surrogate, slide
from pushforward.training import LIKELIHOOD

MEMBERS, WINDOWS, LAGS = 64, 3, 10
SEAMS = ("inside", "across", "seam")
KINDS = {
    "strip": "strip",
    "unlevelled": "strip, not levelled",
    "independent": "windows side by side",
}
NEAR = 0.1  # of the solver's variance, within which a strip goes on
REFERENCE = 512  # of the solver's members that no training saw


def strips(
    archive: Archive, studies: Mapping[str, Study], members: int = MEMBERS
) -> dict[str, Any]:
    """Strips of every study that can slide, and of all the likelihood, for JSON.

    `right` and `said`: whether the law of all strips goes on across seams, in a word and a line.
    `orders`, of each study: `likelihood`; `solver`, variance and autocovariance at lags 1..10 of
    the torus; `strip` and `independent` (the control), variance by window, autocovariance
    `inside` and `across` seams, what one and two windows `apart` share, and how far these are
    `off` the solver (see `against`); and `unlevelled`, a strip as the network leaves it.
    """
    orders = {name: _order(archive, study, members) for name, study in studies.items()}
    wide = {name: one for name, one in orders.items() if "strip" in one}
    good = {
        name: _goes_on(one["strip"], one["independent"])
        and not _goes_on(one["independent"], one["independent"])
        for name, one in wide.items()
    }
    said = "; ".join(
        f"strips of {name} {WINDOWS} windows wide "
        + ("go on" if good[name] else "do not go on")
        + f" across seams as inside windows (correlations at most {_seam(one['strip']):.2f} off, "
        f"side by side {_seam(one['independent']):.2f}; off the solver's by at most "
        f"{one['strip']['off']['inside']['most']:.2f}, windows by themselves by "
        f"{one['independent']['off']['inside']['most']:.2f}; variance of the last window over the "
        f"solver's {one['strip']['variance']['value'][-1]:.2f}, without levelling "
        f"{one['unlevelled']['variance']['value'][-1]:.2f}), and repeat "
        f"{one['strip']['apart']['value'][0]:.2f} of a window in the next"
        for name, one in wide.items()
    )
    return {"right": bool(good) and all(good.values()), "said": said, "orders": orders}


def tables(found: Mapping[str, Any]) -> list[Table]:
    """Likelihoods of all orders, and the strips beside windows side by side."""
    orders = found["orders"]
    lines = []
    for name, one in orders.items():
        for kind in KINDS if "strip" in one else ():
            own = one[kind]
            variances = ", ".join(f"{value:.2f}" for value in own["variance"]["value"])
            off = own["off"]
            repeated = f"{own['apart']['value'][0]:.2f} ± {own['apart']['error'][0]:.2f}"
            told = [f"{off[key]['most']:.3f} ({off[key]['errors']:.1f})" for key in SEAMS]
            lines.append([name, KINDS[kind], variances, *told, repeated])
    head = ["order", "fields", "variance by window", "inside", "across seams",
            "across v inside", "repeated"]  # fmt: skip
    about = (
        f"Vorticity {WINDOWS} windows wide: variance over the solver's; the largest distance of "
        "the autocovariance along columns from the solver's at lags of up to 10 points, in its "
        "variance (in standard errors); the correlation of points a window apart."
    )
    bounds = likelihood_table(
        {name: one["likelihood"] for name, one in orders.items()}, "Vorticity by columns: bounds."
    )
    return [bounds, Table(about, head, lines)]


def _order(archive: Archive, study: Study, members: int) -> dict[str, Any]:
    """What `strips` says of a study."""
    training, generation = study.training, study.generation
    found = {"likelihood": archive.read_json(training, LIKELIHOOD)}
    surrogate = archive.surrogate(training)
    if surrogate.basis.kind != "pixel":
        return found
    seen, total = training.members + training.held_out, study.simulation.members
    unseen = range(max(seen, total - REFERENCE), total)
    known = stacked(archive.open(study.simulation), training, unseen)[:, 0].double()
    window, sampler = known.shape[-1], generation.sampler
    solver = torus(known)
    plain, wide = (
        slide(
            unrolled(surrogate),
            range(members),
            WINDOWS * window,
            sampler=sampler,
            levelled=levelled,
            batch=members,
        )[:, 0]
        for levelled in (0, 2 * members)
    )
    parts = surrogate.sample(range(WINDOWS * members), sampler=sampler, batch=members)
    apart = torch.cat(parts.chunk(WINDOWS), -1)
    return found | {
        "members": members,
        "window": window,
        "solver": solver,
        "strip": against(measured(wide.double(), window, solver), solver),
        "unlevelled": against(measured(plain.double(), window, solver), solver),
        "independent": against(measured(apart[:, 0].double(), window, solver), solver),
    }


def _seam(found: Mapping[str, Any]) -> float:
    """How far autocovariances across seams are off those inside windows."""
    return float(found["off"]["seam"]["most"])


def _goes_on(found: Mapping[str, Any], alone: Mapping[str, Any]) -> bool:
    """Whether seams are like the inside of a window, and that like windows made by themselves.

    How far these are off the solver is a matter of the network, and told beside.
    """
    first, *_, last = found["variance"]["value"]
    most = alone["off"]["inside"]["most"] + NEAR
    near = max(found["off"][key]["most"] for key in ("inside", "across")) <= most
    return near and _seam(found) <= NEAR and abs(last - first) <= NEAR


def unrolled(surrogate: Surrogate) -> Surrogate:
    """The surrogate of a torus as one that may slide: its network still joins the ends.

    `slide` refuses a periodic box, whose strips repeat themselves; here that is what is measured.
    """
    other = copy.deepcopy(surrogate)
    grid = replace(surrogate.grid, boundary="neumann")
    other.grid = other.basis.grid = grid
    if isinstance(other.denoiser, NeuralDenoiser):
        other.denoiser.grids = [grid]
    return other


def torus(u: Tensor) -> dict[str, Any]:
    """Variance and autocovariance at lags 1..10 of fields (member, row, column) on a torus."""
    scale = float(u.square().mean())
    lags = range(1, _furthest(u.shape[-1]) + 1)
    pairs = [u * u.roll(-lag, -1) / scale for lag in lags]
    own = _told([u.square()])
    return {
        "variance": own["value"][0],
        "error": own["error"][0],
        "members": len(u),
        "autocovariance": _told(pairs),
    }


def measured(u: Tensor, window: int, solver: Mapping[str, Any]) -> dict[str, Any]:
    """Variances and autocovariances of strips (member, row, column) in the solver's units."""
    u = u / math.sqrt(solver["variance"])
    place, inside, across = torch.arange(u.shape[-1]) // window, [], []
    for lag in range(1, _furthest(window) + 1):
        pairs = u[..., :-lag] * u[..., lag:]
        same = place[:-lag] == place[lag:]
        inside.append(pairs[..., same])
        across.append(pairs[..., ~same])
    whole = range(window, u.shape[-1], window)
    return {
        "variance": _told([part.square() for part in u.split(window, -1)]),
        "inside": _told(inside),
        "across": _told(across),
        "apart": _told([u[..., :-lag] * u[..., lag:] for lag in whole]),
    }


def against(found: dict[str, Any], solver: Mapping[str, Any]) -> dict[str, Any]:
    """What was measured, with how far `off` the solver it is: at `most`, and in standard `errors`.

    Of the variance by window, and of the autocovariance inside windows and across seams; `seam`
    is how far the latter is off the former.
    """
    exact = {
        "variance": {"value": [1.0], "error": [solver["error"] / solver["variance"]]},
        "inside": solver["autocovariance"],
        "across": solver["autocovariance"],
        "seam": found["inside"],
    }
    off = {}
    for key, known in exact.items():
        own = found["across" if key == "seam" else key]
        here = {name: torch.tensor(values) for name, values in own.items()}
        there = {name: torch.tensor(values) for name, values in known.items()}
        gap = (here["value"] - there["value"]).abs()
        errors = gap / torch.hypot(here["error"], there["error"])
        off[key] = {"most": float(gap.max()), "errors": float(errors.max())}
    return found | {"off": off}


def _furthest(window: int) -> int:
    """The longest lag: below half of the torus, beyond which it comes back."""
    return min(LAGS, window // 2 - 1)


def _told(each: list[Tensor]) -> dict[str, list[float]]:
    """The means of quantities (member, ...) with their standard errors over members."""
    rows = [one.flatten(1).mean(1) for one in each]
    return {
        "value": [float(row.mean()) for row in rows],
        "error": [float(row.std() / math.sqrt(len(row))) for row in rows],
    }
