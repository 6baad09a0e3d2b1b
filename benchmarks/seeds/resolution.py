"""What a member costs on finer grids, counted: evaluations of the network, and seconds."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from pushforward import Archive, Study
from pushforward.generative import Counted

POINTS, MEMBERS = (64, 128, 256, 512), 8


def evaluations(archive: Archive, study: Study) -> list[dict[str, Any]]:
    """Evaluations and seconds a member on grids of more and more points, for JSON."""
    surrogate = archive.surrogate(study.training)
    counted = Counted(surrogate.denoiser)
    surrogate.denoiser = counted
    found = []
    for points in POINTS:
        grid = replace(study.training.learnt_on, shape=(points,) * study.simulation.grid.ndim)
        finer = points > study.training.learnt_on.shape[0]
        counted.fields, began = 0, time.perf_counter()
        fields = surrogate.sample(
            range(MEMBERS), grid, seed=1, sampler=study.generation.sampler, extend=finer
        )
        found.append(
            {
                "points": points,
                "evaluations": counted.fields / MEMBERS,
                "seconds_per_member": (time.perf_counter() - began) / MEMBERS,
                "finite": bool(fields.isfinite().all()),
            }
        )
    return found
