r"""Integrating factors: a Runge-Kutta pair for v = exp(-t L) u, whose equation is not stiff.

For u_t = L u + N(u) with L diagonal, E(c) = exp(c h L) and a tableau (a, b, b_hat, c),

    u_i = E(c_i) u + h sum_{j<i} a_ij E(c_i - c_j) k_j,        k_i = N(u_i),
    e   = h sum_j (b_j - b_hat_j) E(1 - c_j) k_j.

L alone is exact whatever the step; the factors never grow where L damps, since the nodes of a
tableau increase. The order of the tableau is reached once h L N is resolved, so for flows, whose
steps the advection limits, this is the cheapest way; a fast decay towards a state that N holds up
is better put into N, or left to exponential time differencing.

    Lawson, SIAM J. Numer. Anal. 4 (1967), doi:10.1137/0704033
"""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from pushforward.solvers.stages import Stages, Term, distinct
from pushforward.solvers.tableaux import Tableau


def lawson(tableau: Tableau, symbol: Tensor) -> Stages:
    """The integrating-factor scheme of a pair for a symbol L, float64 or complex128.

    >>> from pushforward.solvers.tableaux import TABLEAUX
    >>> scheme = lawson(TABLEAUX["ifrk32"], torch.tensor([[-2.0]]).double())
    >>> state = torch.ones(1, 1, 1).double()
    >>> scheme.advance(scheme.cast([1.0], state), state, torch.zeros_like)[0].item()   # e^-2
    0.1353352832366127
    """
    factors: list[tuple[Fraction | None, Fraction]] = []  # a (None: 1, without h) and c_i - c_j

    def term(a: Fraction | None, gap: Fraction, source: int) -> Term:
        if (a, gap) not in factors:
            factors.append((a, gap))
        return factors.index((a, gap)), source

    rows = []
    for i in range(1, tableau.stages):
        entries = [(None, tableau.c[i], 0)]
        entries += [(a, tableau.c[i] - tableau.c[j], j + 1) for j, a in enumerate(tableau.a[i])]
        rows.append(tuple(term(*entry) for entry in entries if entry[0] != 0))
    error = tuple(term(d, 1 - tableau.c[j], j + 1) for j, d in enumerate(tableau.error) if d)

    values, index = distinct(symbol)
    gaps = sorted({gap for _, gap in factors})

    def column(numbers: list[float]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.float64, device=symbol.device)[:, None]

    exponents = column([float(gap) for gap in gaps]) * values
    which = torch.tensor([gaps.index(gap) for _, gap in factors], device=symbol.device)
    one = column([float(a is None) for a, _ in factors])
    share = column([float(a or 0) for a, _ in factors])

    def tables(h: float) -> Tensor:
        return torch.exp(h * exponents)[which] * (one + h * share)

    return Stages(tables, index, tuple(rows), error, tableau.estimate_order + 1)
