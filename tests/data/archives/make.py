"""Makes a small archive, and what it holds as plain numbers, with the version that is imported.

    python make.py FILE.tar.xz

The archive has a whole study (study.yaml) and a simulation on the critical grid. Run by a commit
of an earlier time, it makes what that version stored.
"""

from __future__ import annotations

import json
import platform
import sys
import tarfile
import tempfile
from pathlib import Path

from pushforward import Archive, Study, evaluate, generate, simulate, train

CRITICAL = [
    "simulation.storage=critical",
    "simulation.forcing=null",
    "simulation.initial={kind: matern, exponent: 4, length: 0.3, deviation: 1}",
]


def main(path: Path) -> None:
    platform.node = platform.platform = lambda: "somewhere"  # where is nobody's business
    source = Path(__file__).with_name("study.yaml")
    study, critical = Study.load(source), Study.load(source, CRITICAL).simulation
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(Path(folder) / "runs")
        simulate(critical, archive)
        simulate(study.simulation, archive)
        train(study.training, archive)
        generate(study.generation, archive)
        scores = evaluate(study.evaluation, archive)
        fields = {
            spec.name: {
                str(name): array.values[0].astype(float).tolist()
                for name, array in archive.open(spec.name).items()
            }
            for spec in (critical, study.simulation, study.generation)
        }
        values = scores.value.isel(ensemble=0, variable=0).to_series().dropna().to_dict()
        with tarfile.open(path, "w:xz") as file:
            file.add(archive.root, "runs")
    known = {"fields": fields, "evaluation": study.evaluation.name, "scores": values}
    path.with_suffix("").with_suffix(".json").write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
