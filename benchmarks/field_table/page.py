"""The tables as a page: docs/results/field_table.md, from the rows that are there."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .datasets import DATASETS
from .published import PUBLISHED, SOURCE
from .rivals import RIVALS, TITLES
from .tables import EVALUATIONS, LANGEVIN, POINTS, break_even, named

METRICS = {
    "mmd": "MMD²",
    "log_spectrum": "log spectrum",
    "resolved_spectrum": "log spectrum, resolved",
    "sliced_w": "sliced W",
    "marginal_w1": "marginal W1",
    "mean_mse": "mean MSE",
    "variance_mse": "variance MSE",
}
OWN = {
    "log_spectral_distance": "LSD, dex",
    "w1": "W1 / σ",
    "gradient_w1": "gradient W1",
    "mmd": "MMD² (whitened)",
    "energy_distance": "energy distance",
    "frechet": "Fréchet (POD)",
    "classifier_auc": "classifier AUC",
    "memorisation": "nearest neighbour",
}


def page(rows: dict[str, Any], words: str) -> str:
    """The whole page."""
    fits = sorted({cell for key in rows if (cell := Cell.of(key)) is not None})
    parts = [words, *dates(rows)]
    for name, dataset in DATASETS.items():
        parts += [f"## (a) {dataset.title}", *table_a(rows, fits, name)]
    parts += ["## (b) Resolution transfer", table_by(rows, fits, "b", POINTS)]
    parts += ["## (c) Quality against network evaluations"]
    parts += [table_by(rows, fits, "c", (*EVALUATIONS, LANGEVIN))]
    parts += ["## (d) Break-even", table_d(rows, fits)]
    return "\n\n".join(parts) + "\n"


@dataclass(frozen=True, order=True)
class Cell:
    """A method on a data set with a budget: what a line of a table is about."""

    dataset: str
    method: str
    budget: str

    @classmethod
    def of(cls, key: str) -> Cell | None:
        """The cell that the row of a key belongs to; None for a data set of another definition."""
        table, where, *rest = key.split("/")
        dataset, _, digest = where.partition("@")
        known = table in "abc" and dataset in DATASETS and DATASETS[dataset].digest == digest
        return cls(dataset, rest[0], rest[-1]) if known else None

    def rows(self, rows: dict[str, Any], table: str, column: int | None = None) -> list[dict]:
        """Its rows of a table, one a seed; of one column, where the table has several."""
        found = []
        for key, row in rows.items():
            own = key.startswith(f"{table}/") and Cell.of(key) == self
            if own and column in (None, int(key.split("/")[3])):
                found.append(row)
        return found

    @property
    def title(self) -> str:
        """Its method's name and its budget."""
        return f"{TITLES[self.method]}, {self.budget}"


def dates(rows: dict[str, Any]) -> list[str]:
    """On which days and machines the rows were made."""
    seen = sorted({(r["date"], r["machine"]) for r in rows.values() if "machine" in r})
    return [f"Made {', '.join(f'{day} ({machine})' for day, machine in seen)}."] if seen else []


def table_a(rows: dict[str, Any], fits: list[Cell], dataset: str) -> list[str]:
    """The benchmark's metrics with the published rows, then pushforward's scores."""
    lines, own = [], []
    for name in sorted({m for values in PUBLISHED.values() for m in values.get(dataset, {})}):
        cells = [number(PUBLISHED.get(m, {}).get(dataset, {}).get(name)) for m in METRICS]
        lines.append([f"*{name}, as published* ({SOURCE})", "", "", *cells])
    if floor := rows.get(f"null/{named(dataset)}"):
        quantiles = [number(float(np.quantile(floor[m], 0.95))) for m in METRICS]
        lines.append(["solver against solver, 95%", "", "", *quantiles])
    cells = [cell for cell in fits if cell.dataset == dataset and cell.rows(rows, "a")]
    for cell in sorted(cells, key=lambda cell: list(RIVALS).index(cell.method)):
        made = cell.rows(rows, "a")
        found = [row for row in made if row["finite"]]
        seeds = (
            f"{len(made)}" if len(found) == len(made) else f"{len(found)} of {len(made)} finite"
        )
        first, head = made[0], [cell.title, seeds]
        values = [mean(row["theirs"][m] for row in found) for m in METRICS]
        lines.append([*head, str(first["evaluations"]), *values])
        if found:
            spent = f"{first['steps']} steps ({number(first['epochs'])} epochs), "
            spent += f"{number(cost(first))} s"
            values = [mean(row["ours"][m] for row in found if m in row["ours"]) for m in OWN]
            share = [np.mean([score["inside"] for score in row["ours"].values()]) for row in found]
            inside = f"{np.mean(share):.0%}"
            own.append([cell.title, spent, f"{first['weights'] / 1e6:.2f} M", *values, inside])
    missing = [TITLES[m] for m in RIVALS if m not in {cell.method for cell in cells}]
    parts = [grid(["method, budget", "seeds", "NFE", *METRICS.values()], lines)]
    if own:
        head = ["method, budget", "training", "weights", *OWN.values(), "scores inside"]
        parts.append(grid(head, own))
    return parts + ([f"Not run: {'; '.join(missing)}."] if missing else [])


def table_by(rows: dict[str, Any], fits: list[Cell], table: str, columns: Iterable[int]) -> str:
    """Two metrics of every fit, by the grid (b) or the number of evaluations (c)."""
    lines = []
    for cell in fits:
        found = [cell.rows(rows, table, column) for column in columns]
        for m in ("mmd", "log_spectrum", "resolved_spectrum") if any(found) else ():
            values = [mean(row["theirs"][m] for row in some if "theirs" in row) for some in found]
            lines.append([DATASETS[cell.dataset].title, cell.title, METRICS[m], *values])
    head = ["data set", "method, budget", "metric", *map(str, columns)]
    return grid(head, lines) if lines else "Not run."


def table_d(rows: dict[str, Any], fits: list[Cell]) -> str:
    """Seconds to solve, train and draw, and the number of members that pays."""
    lines = []
    for cell in fits:
        solver = rows.get(f"d/{named(cell.dataset)}/solver")
        for row in cell.rows(rows, "a")[:1] if solver else ():
            data = solver["seconds"] * DATASETS[cell.dataset].trajectories
            times = solver["seconds"], cost(row) + data, row["sampling_seconds"]
            members = break_even(times[1], times[2], times[0])
            pays = "never" if math.isinf(members) else f"{members:.0f} members"
            lines.append(
                [DATASETS[cell.dataset].title, cell.title, *(number(t) for t in times), pays]
            )
    head = ["solving, s / trajectory", "data and training, s", "drawing, s / member", "pays after"]
    return grid(["data set", "method, budget", *head], lines) if lines else "Not run."


def cost(row: dict[str, Any]) -> float:
    """The processor's seconds of a fit (the wall's, where those were not noted down)."""
    return row.get("training_cpu_seconds") or row["training_seconds"]


def grid(head: list[str], lines: Iterable[list[str]]) -> str:
    """A table of Markdown."""
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


def number(value: float | None) -> str:
    """Three digits, or nothing."""
    return "" if value is None else f"{value:.3g}"


def mean(cells: Iterable[dict[str, Any]]) -> str:
    """The mean over seeds, bold where all of them are inside the null."""
    some = list(cells)
    if not some:
        return ""
    values = [cell["value"] for cell in some]
    text = number(float(np.mean(values)))
    if len(values) > 1:
        text += f" ± {number(float(np.std(values, ddof=1)))}"
    return f"**{text}**" if all(cell["inside"] for cell in some) else text
