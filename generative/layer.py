r"""A Fourier layer around its coefficients, with as few passes over memory as its gradient allows.

    z = A h,       h' = h + silu(h W_1 + B z') W_2,

A and B the transforms along the first axis, z' what a spectral convolution makes of z. At full
size the layer and its gradient are products and an activation, which cost hardly more than what
is read and written; left to themselves, derivatives of a sum are separate fields that are added
afterwards. So both halves have a backward pass of their own here, in which products add to what is
there already, and fewer fields are made.

The plain formulas (`_analysed`, `_layered`) are what is differentiated twice, forwards or by
`torch.func`. All fields are (batch, point, channel), channels last.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F

from pushforward.generative import perceptron


def analysed(
    h: Float[Tensor, "b ... c"], into: Float[Tensor, "k n"]
) -> tuple[Float[Tensor, "b ... c"], Float[Tensor, "b k rest"]]:
    """Fields (b, n, *rest, c), and their transform along the first axis, (b, k, the rest).

    The fields are returned for the layer's other half, and for nothing else: what comes back for
    them as a gradient is written over.

    >>> h = torch.ones(1, 4, 2)
    >>> analysed(h, torch.full((1, 4), 0.25))[1]
    tensor([[[1., 1.]]])
    """
    return _analysed(h, into) if _plain(h) else _Analysis.apply(h, into)


def layered(
    h: Float[Tensor, "b p c"],
    z: Float[Tensor, "b k rest"],
    back: Float[Tensor, "n k"],
    local: Float[Tensor, "b c c"],
    mix: Float[Tensor, "c c"],
) -> Float[Tensor, "b p c"]:
    """h + silu(h local + back z) mix^T, one matrix `local` for each member.

    >>> h, z, eye = torch.zeros(1, 4, 2), torch.ones(1, 1, 2), torch.eye(2)
    >>> layered(h, z, torch.ones(4, 1), eye[None], eye)[0, 0]                       # silu(1)
    tensor([0.7311, 0.7311])
    """
    given = (h, z, back, local, mix)
    if not _plain(h):
        return _Layer.apply(*given)
    if torch.is_grad_enabled() or forwards(h) or not perceptron.serves(h, mix):
        return _layered(*given)
    return perceptron.applied(h, convolved(z, back, h), local, mix)


def middle(h: Tensor, z: Tensor, back: Tensor, local: Tensor) -> Tensor:
    """h local + back z, what the activation sees, (b, p, c)."""
    rows = torch.bmm(h, local).view(len(h), len(back), -1)
    return torch.baddbmm(rows, back.expand(len(h), -1, -1), z).view(h.shape)


def convolved(z: Tensor, back: Tensor, like: Tensor) -> Tensor:
    """back z, the convolution at all points, (b, p, c)."""
    return torch.bmm(back.expand(len(z), -1, -1), z).view(like.shape)


def transposed(back: Tensor, g: Tensor) -> Tensor:
    """back^T g, (b, k, the rest): the gradient of `convolved`."""
    return torch.bmm(back.T.expand(len(g), -1, -1), g.view(len(g), len(back), -1))


def added(h: Tensor, active: Tensor, mix: Tensor) -> Tensor:
    """h + active mix^T, (b, p, c)."""
    rows = h.flatten(0, 1)
    return torch.addmm(rows, active.flatten(0, 1), mix.T).view(h.shape)


def _analysed(h: Tensor, into: Tensor) -> tuple[Tensor, Tensor]:
    return h, torch.bmm(into.expand(len(h), -1, -1), h.flatten(2))


def _layered(h: Tensor, z: Tensor, back: Tensor, local: Tensor, mix: Tensor) -> Tensor:
    return added(h, F.silu(middle(h, z, back, local)), mix)


def _plain(h: Tensor) -> bool:
    """Whether derivatives are not wanted, or others than the ordinary ones."""
    return not torch.is_grad_enabled() or forwards(h)


def forwards(h: Tensor) -> bool:
    """Whether derivatives are wanted forwards or by `torch.func`."""
    return forward_ad.unpack_dual(h).tangent is not None or transformed()


def transformed() -> bool:
    """Whether `torch.func` is at work; yes where torch has no way to say."""
    active = getattr(torch._C, "_are_functorch_transforms_active", None)
    return active is None or active()


def again(function: Any, inputs: tuple[Tensor, ...], gradient: Tensor) -> list[Tensor | None]:
    """Gradients of the plain formula, which can be differentiated themselves.

    Inputs may depend on each other: as views of themselves they do not.
    """
    create = torch.is_grad_enabled()
    with torch.enable_grad():
        given = [x.view_as(x) for x in inputs]
        wanted = [x for x in given if x.requires_grad]
        found = iter(torch.autograd.grad(function(*given), wanted, gradient, create_graph=create))
    return [next(found) if x.requires_grad else None for x in given]


class _Analysis(torch.autograd.Function):
    """h -> h, A h; the gradient of both in one product that adds."""

    @staticmethod
    def forward(ctx: FunctionCtx, h: Tensor, into: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(into)
        return h.view_as(h), _analysed(h, into)[1]

    @staticmethod
    def backward(ctx: Any, g: Tensor, g_z: Tensor) -> tuple[Tensor | None, None]:
        (into,) = ctx.saved_tensors
        rows = g.reshape(*g_z.shape[:1], into.shape[1], -1)
        # g is the sum that the layer's other half has made: nobody else holds it
        kept = torch.is_grad_enabled() or transformed()
        add = torch.baddbmm if kept else Tensor.baddbmm_
        return add(rows, into.T.expand(len(g), -1, -1), g_z).view(g.shape), None


class _Layer(torch.autograd.Function):
    """`layered` without copies of what it can write over or add to."""

    @staticmethod
    def forward(
        ctx: Any, h: Tensor, z: Tensor, back: Tensor, local: Tensor, mix: Tensor
    ) -> Tensor:
        ctx.compiled = perceptron.serves(h, mix)
        if ctx.compiled:
            seen = convolved(z, back, h)
            out = perceptron.applied(h, seen, local, mix)
            ctx.save_for_backward(h, z, back, local, mix, seen)
            return out
        seen = torch.bmm(h, local)
        seen.view(len(h), len(back), -1).baddbmm_(back.expand(len(h), -1, -1), z)
        active = F.silu(seen)
        ctx.save_for_backward(h, z, back, local, mix, seen, active)
        return added(h, active, mix)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        h, z, back, local, mix, seen, *rest = ctx.saved_tensors
        if torch.is_grad_enabled() or transformed():
            return tuple(again(_layered, (h, z, back, local, mix), g))
        needs = ctx.needs_input_grad
        if ctx.compiled:
            g_h, g_seen, g_local, g_mix = perceptron.gradient(g, h, seen, local, mix)
            return g_h, transposed(back, g_seen), None, g_local, g_mix
        (active,) = rest
        rows = g.flatten(0, 1)
        g_seen = torch.mm(rows, mix).view(g.shape)
        torch.ops.aten.silu_backward.grad_input(g_seen, seen, grad_input=g_seen)
        return (
            torch.baddbmm(g, g_seen, local.mT) if needs[0] else None,
            transposed(back, g_seen) if needs[1] else None,
            None,
            torch.bmm(h.mT, g_seen) if needs[3] else None,
            torch.mm(rows.T, active.flatten(0, 1)) if needs[4] else None,
        )
