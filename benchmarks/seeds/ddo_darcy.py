"""The row of Darcy's inverse problem (Lim et al., arXiv:2302.07400)."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import number
from benchmarks.seeds import darcy
from benchmarks.seeds.ddo import PAPER
from benchmarks.seeds.row import Family, Row, Table, Verdict
from pushforward import Archive


def _plates(archive: Archive, families: dict[str, Family]) -> dict[str, Any]:
    (studies,) = families.values()
    return {"posterior": darcy.measure(archive, next(iter(studies.values())))}


def _plates_verdict(found: dict[str, Any]) -> Verdict:
    rows = found["posterior"]["rows"]
    best = {}
    for view in dict.fromkeys(row["view"] for row in rows):
        own = {row["ensemble"]: row for row in rows if row["view"] == view}
        best[view] = (own["trained, reverse diffusion"], own["other chains"], own["prior"])
    said = "; ".join(
        f"{view}: mean {number(one['shift'])} deviations from MCMC's (prior "
        f"{number(free['shift'])}, other chains {number(floor['shift'])}), deviation "
        f"{number(one['deviation'])} of MCMC's"
        for view, (one, floor, free) in best.items()
    )
    near = bool(best) and all(
        one["shift"] <= 0.5 and abs(one["deviation"] - 1) <= 0.2 for one, _, _ in best.values()
    )
    return Verdict("confirmed" if near else "not confirmed", said)


def _plates_tables(found: dict[str, Any]) -> list[Table]:
    said = found["posterior"]
    keys = ("mean", "shift", "deviation", "w1", "crps", "chains_crps", "z")
    lines = [
        [
            row["view"],
            row["ensemble"],
            number(row["evaluations"]),
            *(f"{row[k]:.3f}" for k in keys),
        ]
        for row in said["rows"]
    ]
    head = ["told", "ensemble", "evaluations", "mean", "shift", "deviation", "W1", "CRPS",
            "MCMC's CRPS", "z"]  # fmt: skip
    chains = [
        [one["view"], str(one["case"]), f"{one['r_hat']:.3f}", number(one["least_size"]),
         f"{one['accepted']:.2f}", number(one["seconds"])]
        for one in said["chains"]
    ]  # fmt: skip
    return [
        Table(
            "Posteriors of log a against chains that know the solver: relative L2 of the mean, "
            "the same in deviations of the posterior, deviation over theirs, W1 of the largest "
            "waves, fair CRPS of the truth and theirs, mean |z| of the truth (0.8 if right).",
            head,
            lines,
        ),
        Table(
            "The chains: split R-hat and effective size of the worst of the leading waves.",
            ["told", "case", "R-hat", "effective size", "accepted", "seconds"],
            chains,
        ),
    ]


ROWS = (
    Row(
        "ddo_darcy",
        PAPER,
        "Darcy's inverse problem",
        ("darcy_inverse",),
        "a trained operator solves a Bayesian inverse problem by conditional sampling",
        "in words; neither the set-up nor numbers are to be had",
        _plates,
        _plates_verdict,
        _plates_tables,
    ),
)
