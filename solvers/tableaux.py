r"""Embedded Runge-Kutta pairs as exact fractions: what the integrating-factor schemes stand on.

For u_t = N(u) a step of length h with stages k_i = N(u + h sum_j a_ij k_j) is

    u' = u + h sum_i b_i k_i,        e = h sum_i (b_i - b_hat_i) k_i,

u' of order `order`, u' - e of order `estimate_order`. In every pair here the last stage is taken
at u' itself (the last row of a is b), so that it serves as the first one of the next step: a step
costs one evaluation less than it has stages. The nodes c increase, so that the factors
exp((c_i - c_j) h L) of an integrating-factor scheme never grow when L damps.

The classical scheme has three distinct nodes only, so every third-order estimate from its stages
puts Simpson's weights on them, as the scheme itself does: with an integrating factor it is blind
to errors in what of N does not depend on u, a steady forcing for instance. The other two see them.

    Bogacki, Shampine, Appl. Math. Lett. 2 (1989), doi:10.1016/0893-9659(89)90079-7
    Dormand, Prince, J. Comput. Appl. Math. 6 (1980), doi:10.1016/0771-050X(80)90013-3
    Balac, Mahe, Comput. Phys. Commun. 184 (2013), doi:10.1016/j.cpc.2012.12.020 (RK4's estimate)
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Tableau:
    """The coefficients of an explicit pair; a holds the rows below the diagonal, one per stage.

    `order` is that of the solution, `estimate_order` that of the embedded one it is compared with.

    >>> TABLEAUX["ifrk54"].stages, TABLEAUX["ifrk54"].b[0]
    (7, Fraction(35, 384))
    """

    a: tuple[tuple[Fraction, ...], ...]
    b: tuple[Fraction, ...]
    b_hat: tuple[Fraction, ...]
    c: tuple[Fraction, ...]
    order: int
    estimate_order: int

    @property
    def stages(self) -> int:
        """The number of stages, the one at the new state included."""
        return len(self.b)

    @property
    def error(self) -> tuple[Fraction, ...]:
        """b - b_hat, the weights of the error estimate."""
        return tuple(b - b_hat for b, b_hat in zip(self.b, self.b_hat, strict=True))


def _pair(rows: tuple[str, ...], b_hat: str, order: int, estimate_order: int) -> Tableau:
    """A pair whose last row is b, from its rows as text; c are the rows' sums."""
    a = tuple(tuple(Fraction(word) for word in row.split()) for row in ("", *rows))
    return Tableau(
        a=a,
        b=(*a[-1], Fraction(0)),
        b_hat=tuple(Fraction(word) for word in b_hat.split()),
        c=tuple(sum(row, Fraction(0)) for row in a),
        order=order,
        estimate_order=estimate_order,
    )


TABLEAUX: dict[str, Tableau] = {
    "ifrk32": _pair(
        ("1/2", "0 3/4", "2/9 1/3 4/9"),
        "7/24 1/4 1/3 1/8",
        order=3,
        estimate_order=2,
    ),
    "ifrk43": _pair(  # the estimate is h (k_4 - k_5) / 10
        ("1/2", "0 1/2", "0 0 1", "1/6 1/3 1/3 1/6"),
        "1/6 1/3 1/3 1/15 1/10",
        order=4,
        estimate_order=3,
    ),
    "ifrk54": _pair(
        (
            "1/5",
            "3/40 9/40",
            "44/45 -56/15 32/9",
            "19372/6561 -25360/2187 64448/6561 -212/729",
            "9017/3168 -355/33 46732/5247 49/176 -5103/18656",
            "35/384 0 500/1113 125/192 -2187/6784 11/84",
        ),
        "5179/57600 0 7571/16695 393/640 -92097/339200 187/2100 1/40",
        order=5,
        estimate_order=4,
    ),
}
