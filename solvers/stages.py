r"""The arithmetic that all one-step exponential schemes share.

Every scheme here, Lawson's or exponential time differencing, has stages of the form

    u_i = T_i0 u + sum_{j <= i} T_ij k_j,      k_1 = N(u),  k_{i+1} = N(u_i),

with tables T that are functions of h L, one number per wave; the last u_i is the new state and its
N the next step's k_1. An embedded estimate of the error is sum_j D_j k_j. So a scheme is its
tables and a list of which goes with what (`Stages`), and one routine advances them all.

A batch has tables of its own for every member, or one set for all. They are computed in float64,
for one member at a time and the distinct values of L only, and multiplied with coefficients in the
type of the state: nothing that a member's bits depend on knows how many others there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers.grid import Grid

Term = tuple[int, int]  # table, source: source 0 is the state, j the nonlinear part of stage j
RightHandSide = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Stages:
    """A scheme for one symbol L, of shape (channel, *spectral).

    `tables(h)` are float64 or complex128, (table, value), for the distinct values of L; `index`
    (channel, *spectral) says which of them a wave has. `rows` and `error` say which table meets
    which source; `order` is that of the estimate's local error, 0 for a scheme without one.

    >>> values, index = distinct(torch.tensor([[-1.0, -1.0]]).double())
    >>> euler = lambda h: torch.stack([torch.exp(h * values), h * torch.ones_like(values)])
    >>> scheme = Stages(euler, index, rows=(((0, 0), (1, 1)),))
    >>> state = torch.ones(1, 1, 2).double()
    >>> scheme.advance(scheme.cast([0.5], state), state, lambda u: u)[0]     # e^-1/2 + 1/2
    tensor([[[1.1065, 1.1065]]], dtype=torch.float64)
    """

    tables: Callable[[float], Tensor]
    index: Tensor
    rows: tuple[tuple[Term, ...], ...]
    error: tuple[Term, ...] = ()
    order: int = 0

    def cast(self, steps: Sequence[float], like: Tensor) -> Tensor:
        """The tables of some step lengths, (table, step, ...), to go with states like this one.

        Real ones are doubled where the state is complex: a product of pairs is one contiguous run.
        """
        index, shape = self.index.flatten(), list(self.index.shape)
        real = like.dtype.to_real()
        tables = [self.tables(h) for h in steps]
        if tables[0].is_complex():
            # The last of a run of complex products are rounded otherwise than those before. With
            # a gap behind it each member is a run of its own, whatever is beside it.
            index = torch.cat([index, index[:1]])
            cast = [t.to(real.to_complex()).index_select(1, index) for t in tables]
            return torch.stack(cast, dim=1)[..., :-1].unflatten(2, shape)
        if like.is_complex():
            index, shape = index.repeat_interleave(2), [*shape, 2]
        cast = [t.to(real).index_select(1, index) for t in tables]
        return torch.stack(cast, dim=1).unflatten(2, shape)

    def advance(
        self,
        tables: Tensor,
        u: Tensor,
        rhs: RightHandSide,
        first: Tensor | None = None,
        kick: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """One step of states (member, channel, *spectral): the new ones, and all sources.

        `first` is N(u), if known; `kick` is added to every stage.
        """
        stage, k = u, rhs(u) if first is None else first
        sources = [u]
        for row in self.rows:
            sources.append(k if len(sources) == 1 else rhs(stage))
            stage = combine(tables, row, sources)
            if kick is not None:
                stage += kick
        return stage, sources


def distinct(symbol: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct values of a symbol and the index of each wave's: far fewer than waves.

    >>> distinct(torch.tensor([-4.0, 0.0, -4.0]))
    (tensor([-4.,  0.]), tensor([0, 1, 0]))
    """
    if not symbol.is_complex():
        return torch.unique(symbol, return_inverse=True)
    pairs, index = torch.unique(
        torch.view_as_real(symbol).reshape(-1, 2), dim=0, return_inverse=True
    )
    return torch.view_as_complex(pairs), index.view(symbol.shape)


def combine(tables: Tensor, terms: Sequence[Term], sources: Sequence[Tensor]) -> Tensor:
    """The sum of tables times sources.

    >>> tables, sources = torch.tensor([[2.0], [3.0]]), list(torch.tensor([[1.0], [10.0]]))
    >>> combine(tables, ((0, 0), (1, 1)), sources)
    tensor([32.])
    """
    parts = [(tables[t], _parts(sources[s], tables)) for t, s in terms]
    out = parts[0][0] * parts[0][1]
    for table, source in parts[1:]:
        out.addcmul_(table, source)
    paired = sources[0].is_complex() and not tables.is_complex()
    return torch.view_as_complex(out) if paired else out


def norms(u_hat: Tensor, grid: Grid) -> Float[Tensor, "member channel"]:
    """The root mean squares of the fields of coefficients (member, channel, *spectral), float64.

    >>> grid = Grid((8, 8))
    >>> norms(grid.fft(torch.full((1, 1, 8, 8), -3.0)), grid).item()
    3.0
    """
    if not grid.periodic:
        return _length(u_hat)
    # waves count twice, but for the first and the last column
    square = 2 * _length(u_hat).square() - _length(u_hat[..., :: grid.shape[-1] // 2]).square()
    return square.sqrt()


def _length(u: Tensor) -> Tensor:
    """The Euclidean norm over all but two axes, axis by axis: threads never share a sum."""
    parts = torch.view_as_real(u) if u.is_complex() else u
    last = (-2, -1) if u.is_complex() else (-1,)
    length = torch.linalg.vector_norm(parts, dim=last, dtype=torch.float64)
    return (
        torch.linalg.vector_norm(length, dim=tuple(range(2, length.ndim)))
        if length.ndim > 2
        else length
    )


def _parts(u: Tensor, tables: Tensor) -> Tensor:
    """Complex numbers as pairs, where they meet real ones."""
    return torch.view_as_real(u) if u.is_complex() and not tables.is_complex() else u
