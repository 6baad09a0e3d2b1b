"""Pushforward: generative surrogates of PDEs, from a page of YAML to a scored ensemble.

    from pushforward import Archive, Study, simulate, train, generate, evaluate

The names load on first use, so that the floors below (`pushforward.solvers`,
`pushforward.generative`) can be used without the storage and scheduling libraries. The first one
that is taken also registers the accessor `.pushforward` of xarray's arrays and Datasets.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pushforward import questions
    from pushforward.archive import Archive
    from pushforward.certificate import Certificate
    from pushforward.claims import across_seeds
    from pushforward.comparison import compare
    from pushforward.evaluation import evaluate
    from pushforward.forecast import verify_forecast
    from pushforward.generation import generate
    from pushforward.pilot import certify
    from pushforward.simulation import simulate
    from pushforward.spec import Evaluation, Generation, Simulation, Training
    from pushforward.study import Study
    from pushforward.training import train

__version__ = "0.1.0"

__all__ = [
    "Archive",
    "Certificate",
    "Evaluation",
    "Generation",
    "Simulation",
    "Study",
    "Training",
    "across_seeds",
    "certify",
    "compare",
    "evaluate",
    "generate",
    "questions",
    "simulate",
    "train",
    "verify_forecast",
]

_ROOMS = {
    "Archive": "archive",
    "Certificate": "certificate",
    "Evaluation": "spec",
    "Generation": "spec",
    "Simulation": "spec",
    "Study": "study",
    "Training": "spec",
    "across_seeds": "claims",
    "certify": "pilot",
    "compare": "comparison",
    "evaluate": "evaluation",
    "generate": "generation",
    "simulate": "simulation",
    "train": "training",
    "verify_forecast": "forecast",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_module(f"{__name__}.accessor")  # whoever holds arrays may ask them
    if name not in _ROOMS:
        return import_module(f"{__name__}.{name}")  # a room itself
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
