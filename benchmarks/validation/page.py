"""The validation page, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.markdown import table
from pushforward.certificate import REFERENCE

from .budgets import EVERY, UNTIL, Closure
from .curves import TOLERANCES, Curve, expected
from .datasets import DataSet
from .further import Points, slope

COMMAND = "python -m benchmarks.validation"


@dataclass
class Findings:
    """All that the page tells."""

    orders: list[list[Curve]]
    tolerances: list[Curve]
    closures: list[Closure]
    plate: Points
    path: Points
    variance: float
    datasets: list[DataSet]
    folder: str


def write(found: Findings) -> str:
    """The whole page."""
    parts = [
        _head(),
        "## Oracles and orders",
        _orders(found),
        f"![error against step]({found.folder}/orders.png)",
        "## Tolerances",
        _tolerances(found.tolerances),
        f"![error against tolerance and steps]({found.folder}/tolerances.png)",
        "## Budgets",
        _budgets(found.closures),
        f"![budgets of energy and enstrophy]({found.folder}/budgets.png)",
        "## Data sets",
        *_datasets(found),
    ]
    return "\n\n".join(parts) + "\n"


def _head() -> str:
    return f"""# Validation

    {COMMAND}

Solutions held against closed forms and against integrators that share no code, in float64. The \
command writes this page and its pictures; the tests hold the same oracles on every commit."""


def _orders(found: Findings) -> str:
    rows = []
    for one, curves in zip(found.tolerances, found.orders, strict=True):
        seen = ", ".join(
            f"{curve.scheme} {curve.order:.1f} ({expected(curve)})"
            for curve in curves
            if curve.order is not None
        )
        finest = one.points[-1]
        rows.append(
            [one.subject.title, one.subject.oracle, f"{finest[1]:.1e}", seen or "exact in time"]
        )
    rows += [
        ["Darcy", "double sine series of a uniform plate", f"{found.plate[-1][1]:.1e}",
         f"in space {slope(found.plate):.1f} (2)"],
        ["stochastic Burgers", "a step 16 times shorter on the same paths",
         f"{found.path[-1][1]:.1e}", f"strong {slope(found.path):.1f} (1)"],
        ["Gaussian field", "its symbol: mean over waves of |u_k|² / E|u_k|², less 1",
         f"{abs(found.variance):.1e}", ""],
    ]  # fmt: skip
    about = (
        f"The error is relative, in L2, at tolerance {TOLERANCES[-1]:g} with the equation's own "
        "scheme (the finest for the last three rows); an order is the slope between the "
        "two finest steps that stand above round-off, and in brackets what it should be."
    )
    return f"{about}\n\n{table(['problem', 'oracle', 'error', 'orders'], rows)}"


def _tolerances(curves: Sequence[Curve]) -> str:
    head = ["problem", "scheme", *(f"{tolerance:g}" for tolerance in TOLERANCES)]
    rows = []
    for curve in curves:
        pairs = zip(curve.points, curve.steps, strict=True)
        cells = [f"{error:.1e} ({steps})" for (_, error), steps in pairs]
        rows.append([curve.subject.title, curve.scheme, *cells])
    ratios = {ratio: curve.subject.title for curve in curves for ratio in curve.ratios}
    about = (
        f"Relative error (and steps) by tolerance. Errors are {min(ratios):.2g} to "
        f"{max(ratios):.2g} times the tolerance; most in {ratios[max(ratios)]}."
    )
    return f"{about}\n\n{table(head, rows)}"


def _budgets(closures: Sequence[Closure]) -> str:
    told = " and ".join(f"{one.missing:.1e} of its {one.name}" for one in closures)
    return (
        f"FNO's flow at viscosity 1e-3, 64², to t = {UNTIL:g}: what the integrals of injection "
        f"and dissipation over {UNTIL / EVERY:.0f} intervals leave unexplained is {told}."
    )


def _datasets(found: Findings) -> list[str]:
    rows = []
    for one in found.datasets:
        if one.certificate is None:
            rows.append([f"`{one.name}`", *["-"] * 5, "not checked"])
            continue
        errors = {cause: max(p.error for p in one.certificate.place(cause)) for cause in
                  one.certificate.errors}  # fmt: skip
        causes = ("time step", "grid", "precision", REFERENCE)
        cells = [f"{errors[cause]:.1e}" if cause in errors else "-" for cause in causes]
        verdict = "converged" if one.certificate.converged else "**not converged**"
        rows.append([f"`{one.name}`", *cells, f"{one.certificate.tail:.1e}", verdict])
    head = ["study", "half the step", "twice the grid", "float64", "all of these", "tail", ""]
    about = (
        "What a pilot of the first members changes by, relative to its norm, when one thing is "
        "refined (`pushforward check`); a data set is called converged below 1e-3."
    )
    pictures = [
        f"**{one.title}** (`{one.name}`)\n\n![{one.title}]({found.folder}/{one.name}.png)"
        for one in found.datasets
    ]
    return [about, table(head, rows), *pictures]
