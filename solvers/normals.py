r"""Counter-based standard normals: the same number for the same address, on any machine.

A normal has an *address* instead of a place in a stream: (seed, member, use, step, wave number).
The address is encrypted by Philox4x32-10 and the 128 bits become two independent normals, the real
and imaginary part of one complex coefficient, by Box and Muller's transform in float64. So a draw
does not depend on what else is drawn, in which order, in which block, on which device, or on which
grid: a finer grid asks for more addresses, and finds the old numbers at the old ones.

Layout of Philox's 192 bits: key = (seed, use | step << 8), counter = (k_1, k_2, k_3, member), each
word 32 bits wide (use 8 bits, step 24 bits), negative wave numbers in two's complement.

    Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (2011), doi:10.1145/2063384.2063405
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import torch
from jaxtyping import Complex, Int
from torch import Tensor

MASK = 0xFFFFFFFF
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)


class Use(IntEnum):
    """What a normal is for; two uses never share numbers.

    >>> Use.INITIAL < Use.FORCING
    True
    """

    INITIAL = 0
    FORCING = 1
    PRIOR = 2
    CHURN = 3
    TRAINING = 4
    LEVEL = 5
    SHIFT = 6
    VALIDATION = 7
    CALIBRATION = 8
    ORDER = 9
    VARIATION = 10
    LIKELIHOOD = 11
    PROCESS = 12
    NOISE = 13
    FILTER = 14
    SCORE = 15
    OBSERVATION = 16
    REMAINDER = 17


def philox(counter: Sequence[Tensor], key: Sequence[Tensor | int]) -> tuple[Tensor, ...]:
    """Philox4x32-10 of four counter words and two key words, int64 tensors holding 32 bits each.

    >>> words = philox([torch.zeros(1, dtype=torch.int64)] * 4, [0, 0])
    >>> [hex(word.item()) for word in words]   # the published known answer
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        # int64 products wrap modulo 2^64; masked after the shift, which so becomes a logical one.
        # Words that are only combined bit by bit carry their upper halves along until then.
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0 = ((p1 >> 32) ^ c1 ^ k0).bitwise_and_(MASK)
        c2 = ((p0 >> 32) ^ c3 ^ k1).bitwise_and_(MASK)
        c1, c3 = p1, p0
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return c0, c1 & MASK, c2, c3 & MASK


def _uniforms(
    seed: int,
    use: Use,
    step: int,
    members: Sequence[int],
    waves: Sequence[Tensor],
    *,
    pairs: bool,
) -> tuple[Tensor, Tensor]:
    """One number in [0, 1) for each address, or a pair of them, of 53 bits each, float64."""
    if not 0 <= seed <= MASK or not 0 <= step < 2**24:
        raise ValueError(
            f"expected 0 <= seed < 2^32 and 0 <= step < 2^24, got seed {seed} and step {step}; "
            "choose smaller numbers"
        )
    if len(members) and not 0 <= min(members) <= max(members) <= MASK:
        raise ValueError(
            f"expected members in 0..2^32-1, got {min(members)}..{max(members)}; "
            "count members from 0"
        )
    member = torch.tensor(list(members), dtype=torch.int64, device=waves[0].device)
    k = torch.broadcast_tensors(*waves)
    key = (seed, (int(use) | step << 8) & MASK)
    make = _compiled if member.device.type == "cpu" and _library() is not None else _written_out
    return make(member, k, key, pairs)


def _written_out(
    member: Tensor, k: Sequence[Tensor], key: tuple[int, int], pairs: bool
) -> tuple[Tensor, Tensor]:
    """The numbers in torch, on any device."""
    column = member.view(-1, *[1] * k[0].ndim)
    words = [(wave & MASK).expand(len(member), *wave.shape) for wave in k]
    w = philox([*words, *[column * 0] * (3 - len(k)), column], key)
    first, second = (w[i] << 21 | w[i + 1] >> 11 for i in (0, 2))
    return first.double() * 2.0**-53, second.double() * 2.0**-53 if pairs else second


def _compiled(
    member: Tensor, k: Sequence[Tensor], key: tuple[int, int], pairs: bool
) -> tuple[Tensor, Tensor]:
    """The same bits from solvers/kernels/philox.c."""
    words = k[0].new_zeros((3, *k[0].shape), dtype=torch.int64)
    torch.stack([wave.long() for wave in k], out=words[: len(k)])
    first = torch.empty(len(member), *k[0].shape, dtype=torch.float64)
    second = torch.empty_like(first) if pairs else first
    given = [x.data_ptr() for x in (member, words)]
    room = [first.data_ptr(), second.data_ptr() if pairs else None]
    _library().pushforward_uniforms(len(member), k[0].numel(), *given, *key, *room)
    return first, second


def _library() -> Any:
    """What was compiled; None where nothing was, or where torch is asked for."""
    # found when it is needed: other rooms behind that door draw normals
    from pushforward.solvers.kernels.libraries import built, choose

    isa = choose()
    return None if isa is None else built()[isa]


def normals(
    seed: int, use: Use, members: Sequence[int], waves: Sequence[Int[Tensor, ...]], step: int = 0
) -> Complex[Tensor, "member ..."]:
    """Complex coefficients whose real and imaginary parts are independent N(0, 1), complex128.

    `waves` are one to three broadcastable int64 tensors: the wave number's components, or any
    other integers that name a coefficient. Shape: (member, *broadcast shape of the waves).

    Raises ValueError for a seed, step or member that does not fit its word.

    >>> k = torch.arange(4)
    >>> a = normals(0, Use.PRIOR, [7], [k])
    >>> b = normals(0, Use.PRIOR, [5, 7], [k[2:]])
    >>> bool((a[0, 2:] == b[1]).all())
    True
    """
    first, second = _uniforms(seed, use, step, members, waves, pairs=True)
    first += 2.0**-53  # in (0, 1], so that its logarithm is finite
    radius, angle = first.log_().mul_(-2).sqrt_(), second.mul_(2 * math.pi)
    # torch.polar takes sines one by one, these take them a vector at a time
    return torch.complex(angle.cos().mul_(radius), angle.sin().mul_(radius))


def uniforms(
    seed: int, use: Use, members: Sequence[int], waves: Sequence[Int[Tensor, ...]], step: int = 0
) -> Tensor:
    """Uniform numbers in [0, 1), float64, addressed as in `normals`.

    >>> u = uniforms(3, Use.LEVEL, range(1000), [torch.arange(1)])
    >>> abs(u.mean().item() - 0.5) < 4 / (12 * 1000) ** 0.5
    True
    """
    return _uniforms(seed, use, step, members, waves, pairs=False)[0]
