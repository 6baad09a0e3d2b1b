r"""Exponential time differencing: u_t = L u + N(u), L exact, N of order 2 or 4.

With h the step, z = h L, phi_1(z) = (e^z - 1) / z, phi_{n+1}(z) = (phi_n(z) - 1 / n!) / z,

    ETDRK2   a = e^z u + h phi_1 N(u),
             u' = a + h phi_2 (N(a) - N(u))
    ETDRK4   a = e^{z/2} u + (h/2) phi_1(z/2) N(u),      b = ... N(a),
             c = e^{z/2} a + (h/2) phi_1(z/2) (2 N(b) - N(u)),
             u' = e^z u + h [f_1 N(u) + f_2 (N(a) + N(b)) + f_3 N(c)],
             f_1 = phi_1 - 3 phi_2 + 4 phi_3, f_2 = 2 phi_2 - 4 phi_3, f_3 = 4 phi_3 - phi_2.

ETDRK4's error estimate is (3/5) h f_3 (N(c) - N(u')): c is the midpoint rule, off by O(h^3), so
the solution that gives N(u') three fifths of N(c)'s weight is one of third order, whose error
O(h^4) costs nothing, N(u') being the next step's N(u). For L = 0 it is the estimate (h/10)
(k_4 - k_5) of the classical scheme.

Near z = 0 the weights as written lose all digits. There phi_3 is summed as its power series and
phi_2, phi_1 follow by their recursion, which loses none; from |z| = 1 on it runs the other way.

    Cox, Matthews, J. Comput. Phys. 176 (2002), doi:10.1006/jcph.2002.6995
    Kassam, Trefethen, SIAM J. Sci. Comput. 26 (2005), doi:10.1137/S1064827502410633
    Whalen, Brio, Moloney, J. Comput. Phys. 280 (2015), doi:10.1016/j.jcp.2014.09.038
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.solvers.stages import Stages, distinct

TERMS = 20  # of a series in |z| <= 1: the next one is below 1e-21
SHARE = 3 / 5  # of N(c)'s weight: makes the estimate for L = 0 the classical one


def etdrk2(symbol: Tensor) -> Stages:
    """ETDRK2 for a symbol L, float64 or complex128: no error estimate.

    >>> scheme = etdrk2(torch.tensor([[-2.0]]).double())
    >>> state = torch.zeros(1, 1, 1).double()
    >>> steady = scheme.advance(scheme.cast([50.0], state), state, torch.ones_like)[0]
    >>> steady.item()                                    # u_t = 1 - 2 u
    0.5
    """

    values, index = distinct(symbol)

    def tables(h: float) -> Tensor:
        w = weights(h * values)
        parts = [w["phi1"], w["phi1"] - w["phi2"], w["phi2"]]
        return torch.stack([w["full"], *(h * part for part in parts)])

    return Stages(tables, index, rows=(((0, 0), (1, 1)), ((0, 0), (2, 1), (3, 2))))


def etdrk4(symbol: Tensor) -> Stages:
    """ETDRK4 for a symbol L, float64 or complex128, with an estimate of third order.

    >>> scheme = etdrk4(torch.tensor([[-2.0]]).double())
    >>> state = torch.zeros(1, 1, 1).double()
    >>> steady = scheme.advance(scheme.cast([50.0], state), state, torch.ones_like)[0]
    >>> round(steady.item(), 12)                         # u_t = 1 - 2 u
    0.5
    """
    values, index = distinct(symbol)

    def tables(h: float) -> Tensor:
        w = weights(h * values)
        half, last = h * w["half_phi1"], h * w["last"]
        ends = [w["full"], h * w["first"], h * w["middle"], last]
        middle = [w["half"], half, (w["half"] - 1) * half, 2 * half]
        return torch.stack([*ends, *middle, SHARE * last, -SHARE * last])

    rows = (
        ((4, 0), (5, 1)),
        ((4, 0), (5, 2)),
        ((0, 0), (6, 1), (7, 3)),
        ((0, 0), (1, 1), (2, 2), (2, 3), (3, 4)),
    )
    return Stages(tables, index, rows, error=((8, 4), (9, 5)), order=4)


def weights(z: Tensor) -> dict[str, Tensor]:
    """e^z, e^{z/2} and the schemes' weights, over h, exact to round-off for any z.

    >>> {name: round(w.item(), 4) for name, w in weights(torch.zeros(1).double()).items()}
    ... # doctest: +NORMALIZE_WHITESPACE
    {'full': 1.0, 'half': 1.0, 'half_phi1': 0.5, 'phi1': 1.0, 'phi2': 0.5,
     'first': 0.1667, 'middle': 0.3333, 'last': 0.1667}
    """
    small = z.abs() < 1
    near, far = torch.where(small, z, 0), torch.where(small, 1, z)
    full, half = torch.exp(z), torch.exp(z / 2)
    series = torch.full_like(near, 1 / math.factorial(TERMS + 2))
    for n in range(TERMS + 1, 2, -1):
        series = 1 / math.factorial(n) + near * series
    phi2_near = 0.5 + near * series
    phi1_near = 1 + near * phi2_near
    phi1_far = torch.expm1(far) / far
    phi2_far = (phi1_far - 1) / far
    e = torch.exp(far)
    cube = far**3
    # the three weights of the last row cancel, far out, if they are put together from phi_n
    first = (-4 - far + e * (4 - 3 * far + far**2)) / cube
    middle = 2 * (2 + far + e * (far - 2)) / cube
    last = (-4 - 3 * far - far**2 + e * (4 - far)) / cube
    return {
        "full": full,
        "half": half,
        "half_phi1": torch.where(small, phi1_near / (1 + half), torch.expm1(far / 2) / far),
        "phi1": torch.where(small, phi1_near, phi1_far),
        "phi2": torch.where(small, phi2_near, phi2_far),
        "first": torch.where(small, phi1_near - 3 * phi2_near + 4 * series, first),
        "middle": torch.where(small, 2 * phi2_near - 4 * series, middle),
        "last": torch.where(small, 4 * series - phi2_near, last),
    }
