"""The page of what was measured."""

from __future__ import annotations

from typing import Any

from benchmarks.conditional import linear, sensors
from benchmarks.markdown import number, table

COMMAND = "OMP_NUM_THREADS=1 python -m benchmarks.conditional"
LIMIT = 1.1  # fair CRPS over the solver's own
# relative L2 errors in percent, 500 steps of FunDPS (arXiv:2505.17004) and 2000 of DiffusionPDE
# (arXiv:2406.17763), as FunDPS publishes both
PUBLISHED = {
    "navier_stokes": {"FunDPS": (3.32, 8.48), "DiffusionPDE": (3.78, 9.63)},
    "darcy": {"FunDPS": (2.49, 5.18), "DiffusionPDE": (6.07, 7.87)},
}
STEPS = {"FunDPS": 500, "DiffusionPDE": 2000}
NAMES = {"navier_stokes": "Navier-Stokes", "darcy": "Darcy, two materials"}


def written(found: dict[str, Any], machine: str) -> str:
    """The page in Markdown."""
    parts = [
        "# Conditioned ensembles",
        f"`{COMMAND}` on {machine}. Studies: `benchmarks/conditional/*.yaml`.",
        "## A law that is known",
        f"p(w | f) of a linear problem, {linear.CASES} forcings, {linear.MEMBERS} members each, "
        "beside the solver's own ensembles for the same forcings and initial states that nobody "
        "saw. The forcing is a clean channel (log snr = inf). Fair CRPS is over the solver's own "
        f"(goal: at most {LIMIT}), with the standard error of the ratio; ranks are uniform if "
        "their p is not small.",
        _linear(found["linear"]),
        "## 500 sensors of 128 x 128 points",
        f"{sensors.CASES} cases each. `forward` sees the initial vorticity (the permeability) at"
        " 500 random points and asks for the vorticity at t = 1 (the pressure); `inverse` the"
        " other way round. Relative L2 error of the field that was not seen, in percent: of"
        f" single members, and of the mean of {sensors.MEMBERS}, with its standard error over"
        " cases. Evaluations are of the network, a member; the mean takes them once a member."
        " Spread over error is 1 where members differ from each other as they do from the truth.",
    ]
    for system, name in NAMES.items():
        if system in found:
            parts += [f"### {name}", _sensors(found[system], PUBLISHED[system])]
    parts.append(
        "The published numbers are those of one guided sample a case, of networks that saw ten"
        " million fields on a GPU; a step of theirs is Heun's, two evaluations and a backward pass"
        " through one of them. Ours saw some 96,000 fields of 32 x 32 points on one core, and the"
        " published data are not ours: both are made from the published laws. `Gaussian` is the"
        " same surrogate without its network: Kriging with the data's mean and spectra. A mean"
        " is what has the smallest error; a calibrated single member has one that is larger by up"
        " to a root of two, since it holds what nobody can know."
    )
    return "\n\n".join(parts) + "\n"


def _linear(rows: list[dict[str, Any]]) -> str:
    head = ["ensemble", "evaluations", "fair CRPS / solver's", "spread / skill", "p of ranks"]
    body = [
        [
            row["ensemble"],
            str(row["evaluations"] or ""),
            f"{row['crps']:.3f}" + (f" ± {row['error']:.3f}" if row["evaluations"] else ""),
            f"{row['spread_skill']:.3f}",
            number(row["rank_p"]),
        ]
        for row in rows
    ]
    return table(head, body)


def _sensors(rows: list[dict[str, Any]], published: dict[str, tuple[float, float]]) -> str:
    head = ["direction", "what", "evaluations", "single, %", "mean, %", "spread / error"]
    body = []
    for place, direction in enumerate(("forward", "inverse")):
        for who, errors in published.items():
            evaluations = str(2 * STEPS[who] - 1)
            body.append([direction, who, evaluations, f"{errors[place]:.2f}", "", ""])
        for row in (row for row in rows if row["direction"] == direction):
            body.append(
                [
                    direction,
                    f"{row['surrogate']}, {row['sampler']}",
                    str(row["evaluations"]),
                    f"{100 * row['single']:.2f}",
                    f"{100 * row['mean']:.2f} ± {100 * row['mean_error']:.2f}",
                    f"{row['spread_skill']:.2f}",
                ]
            )
    return table(head, body)
