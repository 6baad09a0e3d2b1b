r"""The end of an FNO: out = silu(h hidden^T + bias) project^T + offset, at every point.

Compiled it is one pass over memory, forwards and backwards (see `perceptron`). The plain formula
is what is differentiated twice, forwards or by `torch.func`, and what serves elsewhere.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from pushforward.generative import perceptron
from pushforward.generative.layer import again, forwards, transformed


def headed(
    h: Float[Tensor, "b p c"],
    hidden: Float[Tensor, "d c"],
    bias: Float[Tensor, " d"],
    project: Float[Tensor, "o d"],
    offset: Float[Tensor, " o"],
) -> Float[Tensor, "b o p"]:
    """silu(h hidden^T + bias) project^T + offset, from channels last to channels first.

    >>> h, eye, zero = torch.ones(1, 4, 2), torch.eye(2), torch.zeros(2)
    >>> headed(h, eye, zero, eye[:1], zero[:1])                                     # silu(1)
    tensor([[[0.7311, 0.7311, 0.7311, 0.7311]]])
    """
    given = (h, hidden, bias, project, offset)
    compiled = perceptron.serves(h, hidden) and len(project) <= perceptron.FEWEST
    if not compiled or forwards(h):
        return _headed(*given)
    return _Head.apply(*given) if torch.is_grad_enabled() else perceptron.ended(*given)[0]


def _headed(h: Tensor, hidden: Tensor, bias: Tensor, project: Tensor, offset: Tensor) -> Tensor:
    seen = torch.baddbmm(bias, h, hidden.T.expand(len(h), -1, -1))
    rows = torch.baddbmm(offset, F.silu(seen), project.T.expand(len(h), -1, -1))
    return rows.mT.contiguous()


class _Head(torch.autograd.Function):
    """`headed`, compiled."""

    @staticmethod
    def forward(
        ctx: Any, h: Tensor, hidden: Tensor, bias: Tensor, project: Tensor, offset: Tensor
    ) -> Tensor:
        out, seen = perceptron.ended(h, hidden, bias, project, offset)
        ctx.save_for_backward(h, hidden, bias, project, offset, seen)
        return out

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        *given, seen = ctx.saved_tensors
        if torch.is_grad_enabled() or transformed():
            return tuple(again(_headed, tuple(given), g))
        h, hidden, _, project, _ = given
        return *perceptron.ended_gradient(g, h, seen, hidden, project), g.sum((0, 2))
