r"""What an FNO does at every point, and its gradient, by the compiled kernels.

In a layer, y the convolution, and at the network's end:

    s = y + h local,            out = h + silu(s) mix^T,
    s = h hidden^T + bias,      out = silu(s) project^T + offset,

for members of fields (b, p, c). Torch makes five passes over memory of the first and nine of its
gradient, and an activation there costs as much as a product; `perceptron.c` makes one each, on a
block of points at a time, and keeps one field fewer for the gradient. It works on one thread, in
single precision, so it serves where torch works on one thread, too; elsewhere, and where no
compiler was, the products of `layer` and `head` do the same to round-off.

A member's bits depend on no other member's.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers.kernels.libraries import built, choose

WIDEST = 256  # channels that a block of points has room for
FEWEST = 8  # channels that the narrowest pair of vectors holds: a head's output


def serves(h: Tensor, weight: Tensor) -> bool:
    """Whether the functions below take such fields here, with a square matrix of weights.

    >>> serves(torch.zeros(1, 4, 3), torch.zeros(3, 3))
    False
    """
    width = h.shape[-1]
    return (
        type(h) is Tensor
        and h.device.type == "cpu"
        and h.dtype == weight.dtype == torch.float32
        and weight.shape == (width, width)
        and width <= WIDEST
        and torch.get_num_threads() == 1
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and choose() is not None
        and width % _pair() == 0
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
    _call("layer", h.shape, h, seen, local.contiguous(), mix.T.contiguous(), out)
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
    >>> gradient(h, h, h, eye[None], eye)[3].shape if serves(h, eye) else eye.shape
    torch.Size([32, 32])
    """
    g, h, local, mix = (x.contiguous() for x in (g, h, local, mix))
    g_h, g_seen = torch.empty_like(h), torch.empty_like(h)
    g_local, g_mix = torch.zeros_like(local), torch.zeros_like(local)  # each member's, then added
    turned = local.mT.contiguous()
    _call("layer_gradient", h.shape, h, seen, turned, mix, g, g_seen, g_h, g_local, g_mix)
    return g_h, g_seen, g_local, g_mix.sum(0)


def ended(
    h: Float[Tensor, "b p c"],
    hidden: Float[Tensor, "c c"],
    bias: Float[Tensor, " c"],
    project: Float[Tensor, "o c"],
    offset: Float[Tensor, " o"],
) -> tuple[Float[Tensor, "b o p"], Float[Tensor, "b p c"]]:
    """silu(h hidden^T + bias) project^T + offset, channels first, and what the activation sees.

    At most FEWEST channels come out.

    >>> h, eye, zero = torch.ones(1, 4, 32), torch.eye(32), torch.zeros(32)
    >>> out = torch.full((1, 2, 4), 0.7311)
    >>> out = ended(h, eye, zero, eye[:2], zero[:2])[0] if serves(h, eye) else out
    >>> out[0, 1]
    tensor([0.7311, 0.7311, 0.7311, 0.7311])
    """
    h, channels, pair = h.contiguous(), len(project), _pair()
    seen, out = torch.empty_like(h), h.new_empty(len(h), channels, h.shape[1])
    filled = torch.nn.functional.pad(project, (0, 0, 0, pair - channels)).T.contiguous()
    offset = torch.nn.functional.pad(offset, (0, pair - channels))
    given = (h, hidden.T.contiguous(), bias.contiguous(), filled, offset, seen, out)
    _call("head", (*h.shape, channels), *given)
    return out, seen


def ended_gradient(
    g: Float[Tensor, "b o p"],
    h: Float[Tensor, "b p c"],
    seen: Float[Tensor, "b p c"],
    hidden: Float[Tensor, "c c"],
    project: Float[Tensor, "o c"],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients of h, `hidden`, `bias` and `project`, for that of the output.

    >>> h, eye = torch.zeros(1, 4, 32), torch.eye(32)
    >>> found = ended_gradient(h[..., :2].mT, h, h, eye, eye[:2]) if serves(h, eye) else [h]
    >>> found[0].shape
    torch.Size([1, 4, 32])
    """
    g, h, hidden, project = (x.contiguous() for x in (g, h, hidden, project))
    (b, _, c), channels = h.shape, len(project)
    g_h, g_bias = torch.empty_like(h), h.new_zeros(b, c)
    g_hidden, g_project = h.new_zeros(b, c, c), h.new_zeros(b, c, _pair())
    room = (g_h, g_hidden, g_bias, g_project)
    _call("head_gradient", (*h.shape, channels), h, seen, hidden, project, g, *room)
    return g_h, g_hidden.sum(0).T, g_bias.sum(0), g_project.sum(0)[:, :channels].T


def _call(verb: str, sizes: tuple[int, ...], *given: Tensor) -> None:
    if not all(x.dtype == torch.float32 and x.is_contiguous() for x in given):
        raise ValueError("expected contiguous fields in single precision; ask `serves` first")
    getattr(_library(), f"pushforward_{verb}")(*sizes, *(x.data_ptr() for x in given))


def _library() -> Any:
    isa = choose()
    if isa is None:
        raise ValueError("expected a compiled kernel, got none; ask `serves` first")
    return built()[isa]


def _pair() -> int:
    """Channels in a pair of vectors: what widths are multiples of."""
    return _library().pushforward_layer_unit()
