r"""Few bits where a network works point by point, all of them in its transforms and around it.

A product with b bits of a mantissa is wrong by 2^-b of its largest terms, evenly over all waves;
the small scales of a field with a steep spectrum are far below that. So bfloat16 (8 bits) serves
layers that mix the channels of a point, whose error is one of a nonlinearity that is learnt, and
not transforms: these get float32, an island in what is computed around them, as do the basis, the
loss, gradients, averages and moments, which lie outside the network.

    Micikevicius et al., Mixed precision training (2018), arXiv:1710.03740
    Tu et al., Guaranteed approximation bounds for mixed-precision neural operators (2024),
    arXiv:2307.15034
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, Literal

import torch
from torch import Tensor

Precision = Literal["float32", "bfloat16"]
_asked: ContextVar[Precision] = ContextVar("precision", default="float32")


@contextmanager
def lowered(precision: Precision) -> Iterator[None]:
    """What networks compute in at a point, in this thread, within the context.

    >>> with lowered("bfloat16"), pointwise(torch.device("cpu")):
    ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    torch.bfloat16
    """
    token = _asked.set(precision)
    try:
        yield
    finally:
        _asked.reset(token)


def low() -> bool:
    """Whether few bits are asked for."""
    return _asked.get() == "bfloat16"


def pointwise(device: torch.device) -> AbstractContextManager[Any]:
    """The context in which a network is evaluated: its products have the precision asked for."""
    # a cast is of one evaluation: others may be under way in other threads
    return torch.autocast(device.type, torch.bfloat16, enabled=low(), cache_enabled=False)


def island(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The same function in float32, whatever is around it.

    >>> product = island(torch.matmul)
    >>> with lowered("bfloat16"), pointwise(torch.device("cpu")):
    ...     product(torch.ones(2, 2).bfloat16(), torch.ones(2, 2)).dtype
    torch.float32
    """

    @wraps(function)
    def whole(*given: Any, **named: Any) -> Tensor:
        if not low():
            return function(*given, **named)
        first = next(x for x in given if isinstance(x, Tensor))
        with torch.autocast(first.device.type, enabled=False):
            return function(*(_whole(x) for x in given), **named)

    return whole


def _whole(x: Any) -> Any:
    return x.float() if isinstance(x, Tensor) and x.dtype == torch.bfloat16 else x
