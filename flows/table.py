"""The score table as people read it: in the terminal, and as rows for Prefect's table artifact.

One row per variable and score: the value with its bootstrap error for every ensemble, the solver's
own floor (mean and 95% quantile of the same score between two sets of solver members), the first
ensemble's value over the floor's mean, and whether it lies inside the floor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import xarray as xr

WORDS = ("variable", "score", "refined", "change", "at", "within the limit")


def rows(scores: xr.Dataset) -> list[dict[str, str]]:
    """One mapping from column to text per variable and score; scores without a value are left out.

    >>> import xarray as xr
    >>> one = xr.Dataset(
    ...     {"value": 0.02, "standard_error": 0.004, "floor_mean": 0.01, "floor_q95": 0.03,
    ...      "ratio": 2.0, "inside": True},
    ... ).expand_dims(ensemble=["trained"], variable=["vorticity"], score=["w1"])
    >>> rows(one)[0]["trained"], rows(one)[0]["inside"]
    ('0.02 ± 0.004', 'yes')
    """
    if "ensemble" not in scores.dims:
        scores = scores.expand_dims(ensemble=["value"])
    if "variable" not in scores.dims:
        scores = scores.expand_dims(variable=[""])
    ensembles = [str(name) for name in scores["ensemble"].values]
    table = []
    for variable in scores["variable"].values:
        for score in scores["score"].values:
            here = scores.sel(variable=variable, score=score)
            if not math.isfinite(_cell(here, "value", ensembles[0])):
                continue
            row = {"variable": str(variable), "score": str(score)}
            for name in ensembles:
                error = _number(_cell(here, "standard_error", name))
                row[name] = f"{_number(_cell(here, 'value', name))} ± {error}"
            first = ensembles[0]
            row["floor"] = _number(_cell(here, "floor_mean", first))
            row["floor 95%"] = _number(_cell(here, "floor_q95", first))
            row["ratio"] = _number(_cell(here, "ratio", first))
            row["inside"] = "yes" if _cell(here, "inside", first) else "no"
            table.append(row)
    return table


def console() -> Console:
    """Standard output; a pipe or a file is as wide as a table wants to be."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=250)


def show(scores: xr.Dataset, out: Console) -> None:
    """Prints the table, without the variable's name where there is one."""
    table = rows(scores)
    if len({row["variable"] for row in table}) <= 1:
        table = [{name: row[name] for name in row if name != "variable"} for row in table]
    draw(table, out)


def draw(table: Sequence[Mapping[str, str]], out: Console) -> None:
    """Prints rows of text under the names of their columns, numbers to the right."""
    columns = [*table[0]] if table else []
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        drawn.add_column(name, justify="left" if name in WORDS else "right")
    for row in table:
        drawn.add_row(*(row[name] for name in columns))
    out.print(drawn)


def _cell(scores: xr.Dataset, column: str, ensemble: str) -> float:
    """One number; the floor columns may be the same for all ensembles."""
    array = scores[column]
    return float(array.sel(ensemble=ensemble) if "ensemble" in array.dims else array)


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "-"
