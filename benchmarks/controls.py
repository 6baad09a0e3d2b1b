"""What must be seen to be wrong: the same measure on samplers that are, and on exact draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from catalogue import DEEP, NOT_MEANT, PATHS, PROCESSES, SAMPLERS
from ensembles import Levels, SideBySide, fields
from mixture import Truth, mixture

from pushforward.generative import Basis, Denoiser, GaussianDenoiser, Sampler

GUD = PATHS["GUD, a = 1"]
LADDER = PATHS["ladder, Matérn noise"]
SHALLOW = replace(DEEP, lowest=1.0)
DDO = "published_variance"
MEMBERS, FEWER = 1000, 300  # of flows, of what takes many steps

Case = tuple[str | None, str, str | None]  # path, process, sampler


def controls(
    basis: Basis, truth: Truth, *, members: int, seed: int
) -> Iterator[tuple[str, dict[str, float]]]:
    """Wrong samplers by name, and their errors; the basis is one of waves."""
    right = truth.law.seen_by(basis)
    good, flow = GUD.on(basis.modes), Sampler("multistep", steps=64)
    cases: list[tuple[str, Denoiser, Levels, Sampler]] = [
        (
            "DDO's Langevin as published, a variance for a deviation",
            SideBySide(right),
            LADDER.on(basis.modes),
            Sampler("langevin", steps=200, inner=4, step=4e-9, rule=DDO),
        ),
        (
            "the denoiser of data whose spectrum falls off faster, by k^-0.4",
            SideBySide(mixture(steeper=0.2).seen_by(basis)),
            good,
            flow,
        ),
        ("the denoiser of Gaussian data", GaussianDenoiser(), good, flow),
        (
            "a path that begins at log snr 1 instead of -7",
            SideBySide(right),
            SHALLOW.on(basis.modes),
            flow,
        ),
        ("multistep in 4 steps", SideBySide(right), good, Sampler("multistep", steps=4)),
    ]
    for name, denoiser, levels, sampler in cases:
        (u,), _ = fields(basis, denoiser, [levels], sampler, members, seed=seed)
        yield name, truth.errors(u)


def unmeant_cases(
    fitted: dict[str, Basis], truth: Truth, steps: Sequence[int]
) -> Iterator[tuple[Case, str, list[dict[str, float]]]]:
    """What is not meant to work, why, and the errors that it has with so many steps."""
    basis = fitted[next(iter(fitted))]
    for (path, process, name), reason in NOT_MEANT.items():
        dynamics = PROCESSES[process].dynamics()
        levels = PATHS[path or "GUD, a = 1"].on(basis.modes, dynamics)
        denoiser, errors = SideBySide(truth.law.seen_by(basis)), []
        for count in steps:
            sampler = replace(SAMPLERS[name or "bridge"].sampler, steps=count)
            (u,), _ = fields(basis, denoiser, [levels], sampler, FEWER, seed=5, dynamics=dynamics)
            errors.append(truth.errors(u))
        yield (path, process, name), reason, errors


def exact_draws(truth: Truth, *, members: int, times: int, seed: int) -> list[dict[str, float]]:
    """The errors of ensembles that are drawn from the law itself."""
    generator = torch.Generator().manual_seed(seed)
    return [truth.errors(truth.law.draws(members, generator)) for _ in range(times)]
