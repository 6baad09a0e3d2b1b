"""Parameters of a test that is dear: a few run always, the rest with `-m slow`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def mostly_slow(names: Iterable[Any], *always: Any) -> list[Any]:
    """The names as parameters, marked slow but for those that run always.

    Raises ValueError for one of these that is no name.
    """
    found = [*names]
    if unknown := [name for name in always if name not in found]:
        raise ValueError(f"expected some of {found}, got {unknown}; correct the test")
    return [
        name if name in always else pytest.param(name, marks=pytest.mark.slow) for name in found
    ]
