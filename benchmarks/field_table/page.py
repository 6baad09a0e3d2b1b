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
from .tables import EVALUATIONS, LANGEVIN, POINTS, break_even

METRICS = {
    "mmd": "MMD²",
    "log_spectrum": "log spectrum",
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
    "classifier_auc": "classifier AUC",
}


def page(rows: dict[str, Any], words: str) -> str:
    """The whole page."""
    fits = sorted({Cell.of(key) for key in rows if key[0] in "abc" and key[1] == "/"})
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
    def of(cls, key: str) -> Cell:
        """The cell that the row of a key belongs to."""
        _, dataset, method, *_, budget = key.split("/")
        return cls(dataset, method, budget)

    def rows(self, rows: dict[str, Any], table: str, *column: object) -> list[dict[str, Any]]:
        """Its rows in a column of a table, one a seed."""
        parts = "/".join(map(str, (table, self.dataset, self.method, *column)))
        keys = [key for key in rows if key.startswith(f"{parts}/") and key.endswith(self.budget)]
        return [rows[key] for key in keys if key.count("/") == 4 + len(column)]

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
        cells = [number(PUBLISHED[m].get(dataset, {}).get(name)) for m in METRICS]
        lines.append([f"*{name}, as published* ({SOURCE})", "", *cells])
    if floor := rows.get(f"null/{dataset}"):
        quantiles = [number(float(np.quantile(floor[m], 0.95))) for m in METRICS]
        lines.append(["solver against solver, 95%", "", *quantiles])
    cells = [cell for cell in fits if cell.dataset == dataset and cell.rows(rows, "a")]
    for cell in sorted(cells, key=lambda cell: list(RIVALS).index(cell.method)):
        found = [row for row in cell.rows(rows, "a") if row["finite"]]
        if not found:
            lines.append([cell.title, "", *["not finite"] * len(METRICS)])
            continue
        first = found[0]
        values = [mean(row["theirs"][m] for row in found) for m in METRICS]
        lines.append([cell.title, str(first["evaluations"]), *values])
        spent = f"{first['steps']} steps, {number(cost(first))} s"
        values = [mean(row["ours"][m] for row in found if m in row["ours"]) for m in OWN]
        own.append([cell.title, spent, f"{first['weights'] / 1e6:.2f} M", *values])
    missing = [TITLES[m] for m in RIVALS if m not in {cell.method for cell in cells}]
    parts = [grid(["method, budget", "NFE", *METRICS.values()], lines)]
    if own:
        parts.append(grid(["method, budget", "training", "weights", *OWN.values()], own))
    return parts + ([f"Not run: {'; '.join(missing)}."] if missing else [])


def table_by(rows: dict[str, Any], fits: list[Cell], table: str, columns: Iterable[int]) -> str:
    """Two metrics of every fit, by the grid (b) or the number of evaluations (c)."""
    lines = []
    for cell in fits:
        found = [cell.rows(rows, table, column) for column in columns]
        for m in ("mmd", "log_spectrum") if any(found) else ():
            values = [mean(row["theirs"][m] for row in some if "theirs" in row) for some in found]
            lines.append([DATASETS[cell.dataset].title, cell.title, METRICS[m], *values])
    head = ["data set", "method, budget", "metric", *map(str, columns)]
    return grid(head, lines) if lines else "Not run."


def table_d(rows: dict[str, Any], fits: list[Cell]) -> str:
    """Seconds to solve, train and draw, and the number of members that pays."""
    lines = []
    for cell in fits:
        solver = rows.get(f"d/{cell.dataset}/solver")
        for row in cell.rows(rows, "a")[:1] if solver else ():
            times = solver["seconds"], cost(row), row["sampling_seconds"]
            members = break_even(times[1], times[2], times[0])
            pays = "never" if math.isinf(members) else f"{members:.0f} members"
            lines.append(
                [DATASETS[cell.dataset].title, cell.title, *(number(t) for t in times), pays]
            )
    head = ["solving, s / trajectory", "training, s", "drawing, s / member", "pays after"]
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
