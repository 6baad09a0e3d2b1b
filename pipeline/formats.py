"""The format of an archive: a number in every spec.json, which a reader compares with its own.

    1   no number. Chunks of Zstandard, since 2026-11-28 of Blosc; Zarr's own metadata say which
    2   the number, and `from`: the names of the lineage, nearest first

A reader opens every format up to its own. The number rises when an earlier reader would not
understand what is stored; keys that it can do without are added and leave the number as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pushforward.places import Place

FORMAT = 2


def readable(values: Mapping[str, Any], path: Place) -> Mapping[str, Any]:
    """What a spec.json at a path holds, if this version understands it.

    Raises ValueError, with what to do, where it does not.

    >>> from pathlib import Path
    >>> readable({"kind": "simulation", "spec": {}}, Path("spec.json"))["kind"]
    'simulation'
    >>> readable({"format": 3}, Path("spec.json"))
    Traceback (most recent call last):
    ValueError: expected an archive's format <= 2, got 3 in spec.json; update pushforward
    """
    found = values.get("format", 1)
    if type(found) is not int or not 1 <= found <= FORMAT:  # and no bool
        raise ValueError(
            f"expected an archive's format <= {FORMAT}, got {found!r} in {path}; update "
            "pushforward"
        )
    return values
