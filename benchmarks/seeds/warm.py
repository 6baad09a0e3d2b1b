r"""A warm start on a coarse grid against a cold one: when each reaches the same held-out loss.

Seconds are those of a machine that others may use too, so a race is also run in *steps of the
finest grid*: a step on a coarser level of the same training costs

    median milliseconds of a step there / median milliseconds of a step on its finest level

of one, and the tests count nothing. The loss between two tests is taken as linear in the time; a
test during a coarse level is made on the finest grid, whose other waves are then untrained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from pushforward import Archive, Study
from pushforward.curve import FILE as METRICS
from pushforward.levels import at, ends
from pushforward.spec import Training

COLD, WARM = "cold", "warm"
WITHIN = 1.02  # of the cold one's final loss
CLOCKS = ("seconds", "cost")

Point = Mapping[str, float]


def race(archive: Archive, studies: Mapping[str, Study]) -> dict[str, Any]:
    """The curves of both starts, and how long each takes to two losses, for JSON.

    `ratio`: the warm one's time to the cold one's final loss x 1.02 over the cold one's, in steps
    of the finest grid (None: never). `starts`: seconds and loss at the end, and when that loss is
    reached. `curves`: step, seconds, cost and loss at every test. `targets`: that loss, and the
    cold one's at half of its steps, with the seconds, cost and step at which each start first
    reaches them and the ratios warm / cold.

    Raises ValueError for studies other than these two, and for curves without tests.
    """
    if {*studies} != {COLD, WARM}:
        raise ValueError(
            f"expected the studies {COLD} and {WARM}, got {', '.join(studies) or 'none'}; give "
            "the family of catalogs/seeds/multilevel_warm_start.yaml"
        )
    curves, costs = {}, {}
    for name in (COLD, WARM):
        training = studies[name].training
        lines = archive.read_lines(training, METRICS)
        costs[name] = relative(training, lines)
        curves[name] = curve(training, lines, costs[name])
        if not curves[name]:
            raise ValueError(
                f"expected tests in {training.name}, got none; train with training.held_out"
            )
    final = WITHIN * curves[COLD][-1]["loss"]
    half = between(curves[COLD], "step", studies[COLD].training.steps / 2)
    there = compared(curves, final)
    return {
        "ratio": there["ratio"]["cost"],
        "starts": {
            name: {
                "seconds": one[-1]["seconds"],
                "loss": one[-1]["loss"],
                "reached_seconds": there[name]["seconds"],
                "reached_cost": there[name]["cost"],
            }
            for name, one in curves.items()
        },
        "curves": curves,
        "step_costs": costs,
        "targets": {
            "final": {"loss": final, **there},
            "half": {"loss": half, **compared(curves, half)},
        },
    }


def relative(training: Training, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a step costs on every level, coarse to fine: milliseconds, and over the finest's."""
    last = ends(training.levels, training.steps)
    times: list[list[float]] = [[] for _ in last]
    before = 0
    for line in lines:
        level = at(last, line["step"] - 1)
        if "step_ms_p50" in line and level == at(last, before):  # of one level alone
            times[level].append(line["step_ms_p50"])
        before = line["step"]
    middle = [median(one) if one else None for one in times]
    if None in middle:
        raise ValueError(
            f"expected times of steps on each of {len(last)} levels of {training.name}, got "
            f"{middle}; train for more steps"
        )
    found = [float(one) for one in middle if one is not None]
    return {"milliseconds": found, "relative": [one / found[-1] for one in found]}


def curve(
    training: Training, lines: Sequence[Mapping[str, Any]], costs: Mapping[str, Any]
) -> list[dict[str, float]]:
    """Step, seconds, cost and held-out loss at every test."""
    last, found = ends(training.levels, training.steps), []
    for line in lines:
        if "held_out_loss" not in line:
            continue
        step, cost, before = line["step"], 0.0, 0
        for end, weight in zip(last, costs["relative"], strict=True):
            cost += weight * max(0, min(step, end) - before)
            before = end
        found.append(
            {
                "step": step,
                "seconds": line["seconds"],
                "cost": cost,
                "loss": line["held_out_loss"],
            }
        )
    return found


def compared(curves: Mapping[str, Sequence[Point]], loss: float) -> dict[str, Any]:
    """When each start first reaches a loss, on every clock, and warm's time over cold's."""
    found: dict[str, Any] = {
        name: {clock: reached(one, clock, loss) for clock in (*CLOCKS, "step")}
        for name, one in curves.items()
    }
    ratios = {}
    for clock in CLOCKS:
        cold, warm = found[COLD][clock], found[WARM][clock]
        ratios[clock] = None if cold is None or warm is None else warm / cold
    return found | {"ratio": ratios}


def reached(points: Sequence[Point], clock: str, loss: float) -> float | None:
    """When a curve is first at or below a loss, linearly between two tests; None if it never is.

    >>> reached([{"cost": 2.0, "loss": 0.9}, {"cost": 4.0, "loss": 0.5}], "cost", 0.7)
    3.0
    """
    before: Point | None = None
    for point in points:
        if point["loss"] <= loss:
            if before is None:
                return point[clock]
            share = (before["loss"] - loss) / (before["loss"] - point["loss"])
            return before[clock] + share * (point[clock] - before[clock])
        before = point
    return None


def between(points: Sequence[Point], clock: str, time: float) -> float:
    """The loss of a curve at a time, linearly between two tests; at its ends that of the end."""
    before = points[0]
    for point in points:
        if point[clock] >= time:
            gap = point[clock] - before[clock]
            share = (time - before[clock]) / gap if gap else 0.0
            return before["loss"] + share * (point["loss"] - before["loss"])
        before = point
    return before["loss"]
