r"""Cross spectra: how the variables of one member hang together, scale by scale.

Of variables u and v with coefficients u_k, v_k (standardised each by its own solver's members), in
shell n,

    P_u(n) = sum |u_k|^2            power
    C(n)   = Re sum u_k conj(v_k)   co-spectrum
    Q_i(n) = Im sum sgn(k_i) u_k conj(v_k)   quadrature spectrum along axis i

means over members. Since u_{-k} = conj(u_k), the imaginary part cancels between k and -k: it is
counted with the sign of a component, and says which variable leads along that axis. Divided by
sqrt(P_u P_v) they are the coherency (gamma_0, gamma_1, ...), numbers between -1 and 1 that do not
change when either spectrum does; with several times as variables it holds how far, and whereto,
things have moved.

    cross_spectrum = sqrt(mean over pairs u < v and shells n of sum_i (gamma_i,a - gamma_i,b)^2)

over the shells that both variables resolve. Between walls coefficients are real, and Q is 0.

    Priestley, Spectral Analysis and Time Series (1981), chapter 9, ISBN 978-0125649223
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.scores import Score, Statistic
from pushforward.solvers.diagnostics import shell_sums
from pushforward.yardstick import Yardstick


def cross_spectra(
    fields: Float[Tensor, "member variable ..."], yardsticks: Sequence[Yardstick]
) -> Float[Tensor, "member feature"]:
    """Powers of every variable, then C, Q_1, ... of every pair, per shell: one row a member.

    >>> from pushforward.solvers import Grid
    >>> grid, u = Grid((16,)), torch.randn(8, 1, 16)
    >>> stick = Yardstick.fit(u[:, 0], grid)
    >>> rows = cross_spectra(torch.cat([u, u], 1), [stick, stick]).unflatten(1, (4, -1))
    >>> torch.allclose(rows[:, 0], rows[:, 2]), bool(rows[:, 3].abs().max() < 1e-12)
    (True, True)
    """
    grid = yardsticks[0].grid
    z_hat = [grid.fft(y.standardise(fields[:, i])) for i, y in enumerate(yardsticks)]
    parts = [shell_sums(z.abs().square(), grid) for z in z_hat]
    signs = [k.sign() for k in grid.integers()] if grid.periodic else []
    for i, j in combinations(range(len(z_hat)), 2):
        cross = z_hat[i] * z_hat[j].conj()
        parts.append(shell_sums(cross.real if grid.periodic else cross, grid))
        if grid.periodic:
            parts += [shell_sums(cross.imag * sign, grid) for sign in signs]
        else:
            parts += [torch.zeros_like(parts[-1])] * grid.ndim
    return torch.cat(parts, 1)


def coherency(
    mean: Float[Tensor, "... feature"], yardsticks: Sequence[Yardstick]
) -> Float[Tensor, "... pair part shell"]:
    """gamma_0, gamma_1, ... of every pair from mean `cross_spectra`; 0 where not both resolve.

    >>> from pushforward.solvers import Grid
    >>> grid, u = Grid((16,)), torch.randn(8, 1, 16)
    >>> stick = Yardstick.fit(u[:, 0], grid)
    >>> rows = cross_spectra(torch.cat([u, -u], 1), [stick, stick])
    >>> round(coherency(rows.mean(0), [stick, stick])[0, 0, 3].item(), 9)
    -1.0
    """
    count, parts = len(yardsticks), 1 + yardsticks[0].grid.ndim
    pairs = list(combinations(range(count), 2))
    m = mean.unflatten(-1, (count + len(pairs) * parts, -1))
    cross = m[..., count:, :].unflatten(-2, (len(pairs), parts))
    i, j = (list(side) for side in zip(*pairs, strict=True))
    kept = torch.stack([yardsticks[a].resolved & yardsticks[b].resolved for a, b in pairs])
    size = (m[..., i, :] * m[..., j, :]).sqrt().clamp_min(1e-300)
    return torch.where(kept[:, None], cross / size[..., None, :], 0.0)


def cross_distance(
    a: Float[Tensor, "... feature"],
    b: Float[Tensor, "... feature"],
    yardsticks: Sequence[Yardstick],
) -> Float[Tensor, ...]:
    """The root mean square difference of coherency over pairs and resolved shells: (...)."""
    pairs = combinations(yardsticks, 2)
    count = sum(int((one.resolved & other.resolved).sum()) for one, other in pairs)
    gap = coherency(a, yardsticks) - coherency(b, yardsticks)
    return (gap.square().sum((-3, -2, -1)) / max(1, count)).sqrt()


CROSS = Statistic("cross", cross_spectra, joint=True)
SCORES = (Score("cross_spectrum", "Cross spectrum", "", CROSS, cross_distance),)
