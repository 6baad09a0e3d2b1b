r"""Where the noise of a basis's coefficients is addressed.

A counter-based normal (see `solvers.normals`) is a pair: the real and the imaginary part at one
address. The two coefficients of a Fourier wave take one each. Coefficients that come singly are
paired by the parity of their first address word. Channels are told apart by the upper half of the
first word, so that words stay below 2^16.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.solvers import Use, normals

CHANNEL_STRIDE = 1 << 16


def draw(
    words: Tensor,
    pick: Tensor | None,
    channels: int,
    seed: int,
    use: Use,
    members: Sequence[int],
    step: int,
) -> Tensor:
    """Standard normals (member, channel, M), float64, at addresses `words` (address, word).

    `pick` (M,) are places among the pairs of all addresses; None takes them in their order.

    >>> words, pick = paired(torch.tensor([[0], [1], [5]]))
    >>> some = draw(words, pick, 2, 0, Use.PRIOR, range(3), 0)
    >>> few, where = paired(torch.tensor([[5], [1]]))
    >>> torch.equal(draw(few, where, 2, 0, Use.PRIOR, [2], 0)[0], some[2][:, [2, 1]])
    True
    """
    channel = torch.arange(channels, device=words.device)[:, None] * CHANNEL_STRIDE
    address = [words[:, 0] + channel, *(word[None] for word in words.T[1:])]
    g = torch.view_as_real(normals(seed, use, members, address, step)).flatten(-2)
    return g if pick is None else g[..., pick]


def paired(address: Tensor) -> tuple[Tensor, Tensor]:
    """Addresses (M, word) whose first word is halved: both normals of an address are then used.

    Returns the distinct addresses, and for each coefficient its place among their normals.
    """
    half = torch.cat([address[:, :1] // 2, address[:, 1:]], 1)
    words, inverse = torch.unique(half, dim=0, return_inverse=True)
    return words, 2 * inverse + address[:, 0] % 2
