"""The smallest study there is, and what is compared of its results: every stored byte that counts.

Three verbs on 8 x 8 points, each a fraction of a second, each in several blocks or checkpoints, so
that a fault has many places to hit. `WIDE` is the same in many blocks, for faults that are
injected from outside and have to find somebody at work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pushforward.archive import Archive
from pushforward.generation import generate
from pushforward.generative import Architecture, Backbone, Sampler
from pushforward.lineage import Spec
from pushforward.simulation import simulate
from pushforward.solvers import GaussianField, Grid, NavierStokes
from pushforward.spec import Evaluation, Generation, Simulation, Training
from pushforward.study import Study
from pushforward.training import train

VERBS: dict[str, Callable[..., Any]] = {
    "simulate": simulate,
    "train": train,
    "generate": generate,
}
BLOCKWISE = ("simulate", "generate")  # the verbs that have blocks
WIDE = {"members": 96, "batch": 2, "block": 2}


def lineage(ensemble: Mapping[str, int] | None = None, **changes: Any) -> Evaluation:
    """The specs of all verbs, with `changes` of the simulation, and of the `ensemble` drawn."""
    simulation = Simulation(
        **{
            "equation": NavierStokes(viscosity=1e-2),
            "grid": Grid((8, 8)),
            "forcing": GaussianField.matern(4.0, 0.3, deviation=1.0),
            "times": (0.1, 0.2),
            "step": 0.05,
            "members": 24,
            "batch": 4,
            "block": 8,
            **changes,
        }
    )
    training = Training(
        simulation=simulation,
        members=8,
        held_out=8,
        surrogate=Architecture(backbone=Backbone(width=4, modes=2, layers=1)),
        steps=6,
        batch=4,
        calibration=4,
        checkpoint_every=2,
    )
    drawn: dict[str, Any] = {"members": 8, "batch": 2, "block": 4} | dict(ensemble or {})
    generation = Generation(training=training, sampler=Sampler(steps=2), **drawn)
    return Evaluation(generation=generation, members=2)


def spec_of(verb: str, evaluation: Evaluation | None = None) -> Any:
    """What a verb is given, of the lineage or of another one."""
    generation = (evaluation or lineage()).generation
    chosen = {"generate": generation, "train": generation.training}
    return chosen.get(verb, generation.training.simulation)


def page(path: Path, evaluation: Evaluation) -> Path:
    """Writes a lineage as the study that the command line reads; the path."""
    sections = Study(title="Faults", evaluation=evaluation).sections()
    path.write_text(yaml.safe_dump(sections, sort_keys=False), encoding="utf-8")
    return path


def contents(archive: Archive, spec: Spec) -> dict[str, str]:
    """The checksums of a result: every stored byte of arrays and weights, and the values."""
    folder = archive.folder(spec)
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in data(folder)
    }


def data(folder: Path) -> list[Path]:
    """The files of a result that hold its data: arrays, their description, weights."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if "data.zarr" in path.parts or path.suffix == ".safetensors"]
