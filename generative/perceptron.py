r"""What a Fourier layer does at every point, and its gradient, by the compiled kernels.

    s = y + h local,        out = h + silu(s) mix^T

for members of fields (b, p, c), y the convolution. Torch makes five passes over memory of it and
nine of its gradient, and an activation there costs as much as a product; `perceptron.c` makes one
each, on a block of points at a time, and keeps one field fewer for the gradient. It works on one
thread, in single precision, so it serves where torch works on one thread, too; elsewhere, and
where no compiler was, the products of `layer` do the same to round-off.

A member's bits depend on no other member's.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers.kernels.libraries import built, choose

UNIT, WIDEST = 32, 256  # channels: whole pairs of the widest vectors, and room for a block


def serves(h: Tensor, mix: Tensor) -> bool:
    """Whether `applied` and `gradient` take such fields here.

    >>> serves(torch.zeros(1, 4, 3), torch.zeros(3, 3))
    False
    """
    width = h.shape[-1]
    return (
        type(h) is Tensor
        and h.device.type == "cpu"
        and h.dtype == mix.dtype == torch.float32
        and mix.shape == (width, width)
        and width % UNIT == 0
        and width <= WIDEST
        and torch.get_num_threads() == 1
        and not torch.compiler.is_compiling()
        and choose() is not None
    )


def applied(
    h: Float[Tensor, "b p c"],
    seen: Float[Tensor, "b p c"],
    local: Float[Tensor, "b c c"],
    mix: Float[Tensor, "c c"],
) -> Float[Tensor, "b p c"]:
    """h + silu(seen + h local) mix^T; `seen`, contiguous, becomes what the activation sees.

    >>> h, eye = torch.zeros(1, 4, 32), torch.eye(32)
    >>> seen = torch.ones_like(h)
    >>> applied(h, seen, eye[None], eye)[0, 0, 0] if serves(h, eye) else torch.tensor(0.7311)
    tensor(0.7311)
    """
    h, out = h.contiguous(), torch.empty_like(seen)
    given = (h, seen, local.contiguous(), mix.T.contiguous(), out)
    _call("layer", h, given)
    return out


def gradient(
    g: Float[Tensor, "b p c"],
    h: Float[Tensor, "b p c"],
    seen: Float[Tensor, "b p c"],
    local: Float[Tensor, "b c c"],
    mix: Float[Tensor, "c c"],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients of h, of the convolution, of `local` and of `mix`, for that of the output.

    >>> h, eye = torch.zeros(1, 4, 32), torch.eye(32)
    >>> serves(h, eye) and gradient(h, h, h, eye[None], eye)[3].shape
    torch.Size([32, 32])
    """
    g, h, local, mix = (x.contiguous() for x in (g, h, local, mix))
    g_h, g_seen = torch.empty_like(h), torch.empty_like(h)
    g_local = torch.zeros_like(local)
    g_mix = torch.zeros_like(local)  # a member each, then added: so sums are short
    _call(
        "layer_gradient",
        h,
        (h, seen, local.mT.contiguous(), mix, g, g_seen, g_h, g_local, g_mix),
    )
    return g_h, g_seen, g_local, g_mix.sum(0)


def _call(verb: str, h: Tensor, given: tuple[Tensor, ...]) -> None:
    isa = choose()
    if isa is None:
        raise ValueError("expected a compiled kernel, got none; ask `serves` first")
    function = getattr(built()[isa], f"pushforward_{verb}")
    function(*h.shape, *(x.data_ptr() for x in given))
