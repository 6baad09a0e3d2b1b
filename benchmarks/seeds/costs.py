"""What a family of studies cost, and where, from what the archive says of it alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pushforward import Archive, Study
from pushforward.curve import FILE as METRICS
from pushforward.evaluation import SCORES_FILE
from pushforward.learnt import seconds


def costs(archive: Archive, studies: Mapping[str, Study]) -> dict[str, Any]:
    """Seconds and sizes of every result of a family, its commits and its machine, for JSON."""
    results = {spec.name: spec for study in studies.values() for spec in study.specs}
    manifests = {name: archive.manifest(spec) for name, spec in results.items()}
    trainings = {name: spec for name, spec in results.items() if spec.kind == "training"}
    made = [manifest["provenance"] for manifest in manifests.values()]
    machine = {
        key: ", ".join(sorted({str(one["machine"][key]) for one in made}))
        for key in ("cores", "gpu", "processor", "python")
    }
    return {
        "seconds": {
            name: _seconds(archive, results[name], manifest)
            for name, manifest in manifests.items()
        },
        "trainings": {
            name: {
                "members": spec.members,
                "steps": spec.steps,
                "batch": spec.batch,
                "parameters": _parameters(archive, spec),
            }
            for name, spec in trainings.items()
        },
        "seeds": {name: spec.seed for name, spec in results.items()},
        "commits": sorted({one["code"]["commit"] or "none" for one in made}),
        "machine": machine,
        "torch": ", ".join(sorted({one["libraries"]["torch"] for one in made})),
    }


def _seconds(archive: Archive, spec: Any, manifest: Mapping[str, Any]) -> float | None:
    """How long a result took: its blocks together, the loop of a training, or its scores."""
    if spec.kind == "training":
        return seconds(archive.read_lines(spec, METRICS))
    if spec.kind == "evaluation":
        return round(archive.read_json(spec, SCORES_FILE)["attrs"]["seconds"], 1)
    return round(sum(block.get("seconds", 0.0) for block in manifest["blocks"]), 1)


def _parameters(archive: Archive, spec: Any) -> int:
    """The numbers that a training learnt."""
    return sum(one.numel() for one in archive.surrogate(spec).parameters())
