r"""Scores beside the solver's own floor: is the difference more than chance?

Any two finite ensembles differ, also two of the solver's. Every score of the generated members
against the reference is therefore put beside the same statistic between two disjoint sets of the
same sizes, drawn `splits` times from the pool of held-out solver members:

    floor_mean, floor_q05, floor_q95   mean and quantiles over the splits
    ratio           value / floor_mean; NaN for unbiased estimates (MMD, energy distance), whose
                    floor has mean 0
    p               (1 + splits at least as bad) / (1 + splits)
    inside          not worse than the floor's 95% quantile (memorisation: its 5% quantile, since
                    only a small distance to the training members is suspicious)
    standard_error  over `bootstrap` resamples of the members of both sides, never of pixels;
                    for unbiased estimates near 0 too large, by at most sqrt(3)

Splits know only the extremes that the pool holds: where a score hangs on a few rare members, as
the flatness of a heavy tail does, p is somewhat too small and the pool should be larger.

Everything is computed once per member (rows) or pair (kernels); what is drawn are weights
(`pushforward.draws`), so hundreds of splits are one matrix product.

Where there are several variables, `joint` holds the scores of pairs for all of them together, and
NaN for the others; each variable then weighs the same.

    Efron, Tibshirani, An Introduction to the Bootstrap (1993), doi:10.1201/9780429246593
    Phipson, Smyth (the +1 in p), Stat. Appl. Genet. Mol. Biol. 9, doi:10.2202/1544-6115.1585
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from pushforward.distances import (
    gaussian_kernel,
    median,
    nearest,
    squared_distances,
    standardised,
    u_statistic,
    whitened,
)
from pushforward.draws import Draws
from pushforward.scores import SCORES, STATISTICS
from pushforward.solvers import Grid
from pushforward.yardstick import Yardstick, is_vorticity

JOINT = "joint"
TITLES = {name: (score.title, score.unit) for name, score in SCORES.items()} | {
    "mmd": ("MMD² (unbiased)", ""),
    "energy_distance": ("Energy distance (unbiased)", "σ"),
    "memorisation": ("Nearest-neighbour ratio", ""),
}
SIGNED = ("mmd", "energy_distance")  # unbiased estimates: mean 0 under the null
SMALL_IS_BAD = ("memorisation",)
COLUMNS = ("value", "standard_error", "floor_mean", "floor_q05", "floor_q95", "ratio", "p")


def measure(
    ensembles: Mapping[str, Tensor],
    reference: Tensor,
    pool: Tensor,
    grid: Grid,
    variables: Sequence[str],
    *,
    training: Tensor | None = None,
    translations: bool = True,
    splits: int = 200,
    bootstrap: int = 200,
    seed: int = 0,
) -> xr.Dataset:
    """Every score of every ensemble, with error and floor: a Dataset (ensemble, variable, score).

    All fields are (member, variable, *grid); all ensembles hold the same number of members. The
    `pool` holds held-out solver members, at least as many as one ensemble and the reference
    together. `training` is what the model learnt from: without it there is no `memorisation`;
    `translations` says that the law does not change under periodic shifts.

    >>> u = torch.randn(64, 1, 8, 8)
    >>> scores = measure({"mine": u[:16]}, u[16:32], u[32:], Grid((8, 8)), ["u"], splits=20)
    >>> dict(scores.value.sizes)
    {'ensemble': 1, 'variable': 1, 'score': 8}
    """
    sizes = {name: len(fields) for name, fields in ensembles.items()}
    if len(set(sizes.values())) != 1:
        raise ValueError(
            f"expected ensembles of one size, got {sizes}; biased distances of different sizes "
            "cannot be compared, take as many members of each"
        )
    draws = Draws.make(
        sizes, len(reference), len(pool), splits=splits, bootstrap=bootstrap, seed=seed
    )
    members = torch.cat([*ensembles.values(), reference, pool])
    sticks = [
        Yardstick.fit(pool[:, i], grid, energy=is_vorticity(name, grid))
        for i, name in enumerate(variables)
    ]
    comparisons = _Comparisons(members, sticks, draws, grid, training, translations)
    found = {name: comparisons.scores(i) for i, name in enumerate(variables)}
    if len(variables) > 1:
        found[JOINT] = comparisons.scores(None)
    settings = {"splits": splits, "bootstrap": bootstrap, "seed": seed}
    counts = {"members": next(iter(sizes.values())), "pool": len(pool)}
    return _table(found, list(sizes), counts | settings)


def verdict(
    name: str, value: float, resamples: Tensor, null: Tensor
) -> tuple[dict[str, float], bool]:
    """The columns of one score from its value, its bootstrap resamples and its null splits.

    >>> row, inside = verdict("w1", 2.0, torch.tensor([1.9, 2.1]), torch.linspace(0, 1, 101))
    >>> inside, row["ratio"], round(row["p"], 4)
    (False, 4.0, 0.0098)
    """
    low, high = (torch.quantile(null, q).item() for q in (0.05, 0.95))
    mean = null.mean().item()
    small = name in SMALL_IS_BAD
    as_bad = int((null <= value).sum() if small else (null >= value).sum())
    row = {
        "value": value,
        "standard_error": resamples.std().item() if len(resamples) > 1 else float("nan"),
        "floor_mean": mean,
        "floor_q05": low,
        "floor_q95": high,
        "ratio": float("nan") if name in SIGNED or mean == 0 else value / mean,
        "p": (1 + as_bad) / (1 + len(null)),
    }
    return row, bool(value >= low if small else value <= high)


def _table(
    found: Mapping[str, Mapping[str, tuple[Tensor, list[Tensor]]]],
    ensembles: list[str],
    attributes: dict[str, int],
) -> xr.Dataset:
    """The Dataset of all verdicts; what a variable has no score for is NaN and not inside."""
    names = [name for name in TITLES if any(name in scores for scores in found.values())]
    shape = (len(ensembles), len(found), len(names))
    table = {column: np.full(shape, np.nan) for column in COLUMNS}
    inside = np.zeros(shape, dtype=bool)
    for v, scores in enumerate(found.values()):
        for name, (null, values) in scores.items():
            for e, drawn in enumerate(values):
                at = (e, v, names.index(name))
                row, inside[at] = verdict(name, drawn[0].item(), drawn[1:], null)
                for column, number in row.items():
                    table[column][at] = number
    dims = ("ensemble", "variable", "score")
    return xr.Dataset(
        {name: (dims, values) for name, values in table.items()} | {"inside": (dims, inside)},
        coords={
            "ensemble": ensembles,
            "variable": list(found),
            "score": names,
            "title": ("score", [TITLES[name][0] for name in names]),
            "unit": ("score", [TITLES[name][1] for name in names]),
        },
        attrs=attributes,
    )


class _Comparisons:
    """The values of every score on all draws, from rows and distances computed once."""

    def __init__(
        self,
        members: Tensor,
        sticks: Sequence[Yardstick],
        draws: Draws,
        grid: Grid,
        training: Tensor | None,
        translations: bool,
    ) -> None:
        self.members, self.sticks, self.draws = members, sticks, draws
        self.grid, self.training, self.translations = grid, training, translations
        self.distances: dict[str, list[Tensor]] = {"energy_distance": [], "mmd": []}

    def scores(self, variable: int | None) -> dict[str, tuple[Tensor, list[Tensor]]]:
        """Per score the null splits and, per ensemble, value and resamples; None: all jointly."""
        out = {} if variable is None else self._rows(variable)
        for name, d2 in self._squared(variable).items():
            if name == "mmd":
                kernel = gaussian_kernel(d2, median(d2[self.draws.pool, self.draws.pool]))
            else:
                kernel = -d2.sqrt()
            out[name] = self._on_draws(lambda a, b, kernel=kernel: u_statistic(kernel, a, b))
        if self.training is not None:
            distance = self._nearest(self.training, variable)

            def ratio(a: Tensor, b: Tensor) -> Tensor:
                return (a @ distance / a.sum(-1)) / (b @ distance / b.sum(-1))

            out["memorisation"] = self._on_draws(ratio)
        return out

    def _rows(self, variable: int) -> dict[str, tuple[Tensor, list[Tensor]]]:
        stick = self.sticks[variable]
        rows = {s.name: s.rows(self.members[:, variable], stick) for s in STATISTICS}
        return {
            name: self._on_draws(
                lambda a, b, score=score: score(
                    a @ rows[score.statistic.name], b @ rows[score.statistic.name], stick
                )
            )
            for name, score in SCORES.items()
        }

    def _squared(self, variable: int | None) -> dict[str, Tensor]:
        """Squared distances of one variable; of all together, their mean (they add)."""
        if variable is None:
            return {name: torch.stack(parts).mean(0) for name, parts in self.distances.items()}
        fields, stick = self.members[:, variable], self.sticks[variable]
        squared = {
            "energy_distance": squared_distances(standardised(fields, stick)),
            "mmd": squared_distances(whitened(fields, stick)),
        }
        for name, d2 in squared.items():
            self.distances[name].append(d2)
        return squared

    def _nearest(self, training: Tensor, variable: int | None) -> Tensor:
        chosen = range(len(self.sticks)) if variable is None else [variable]
        fields, examples = (
            torch.stack([standardised(x[:, i], self.sticks[i]) for i in chosen], 1)
            for x in (self.members, training)
        )
        return nearest(fields, examples, self.grid, self.translations)

    def _on_draws(self, value) -> tuple[Tensor, list[Tensor]]:
        return value(*self.draws.splits), [value(a, b) for a, b in self.draws.pairs.values()]
