"""What an evaluation came to, in few numbers: for lists and questions, not for claims.

    outside     how many scores lie outside their floor, of the trained ensemble
    scores      of how many
    w1, ...     each score's value over its floor's mean, of the variable where it is largest

Scores that have no ratio, since they have a sign, only count.
"""

from __future__ import annotations

import math
from typing import Any

from pushforward import files
from pushforward.places import Place

FILE, ENSEMBLE = "scores.json", "trained"


def outcome(folder: Place) -> dict[str, float]:
    """The numbers of the evaluation in a folder; none where it is not there, or damaged.

    >>> from pathlib import Path
    >>> outcome(Path("nowhere"))
    {}
    """
    if not files.exists(folder / FILE):
        return {}
    try:
        return _numbers(files.read_json(folder / FILE))
    except (OSError, LookupError, TypeError, ValueError):
        return {}


def _numbers(stored: dict[str, Any]) -> dict[str, float]:
    """Of a table of scores as it is stored (`evaluation.plain`)."""
    names = stored["coords"]["score"]["data"]
    place = stored["coords"]["ensemble"]["data"].index(ENSEMBLE)
    values, inside, ratios = (
        stored["data_vars"][column]["data"][place] for column in ("value", "inside", "ratio")
    )
    known = [
        (name, within, ratio)
        for row in zip(values, inside, ratios, strict=True)
        for name, value, within, ratio in zip(names, *row, strict=True)
        if value is not None
    ]
    found: dict[str, float] = {
        "outside": sum(not within for _, within, _ in known),
        "scores": len(known),
    }
    for name, _, ratio in known:
        if ratio is not None:
            found[name] = max(found.get(name, -math.inf), ratio)
    return found
