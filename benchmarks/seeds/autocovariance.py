r"""Autocovariances of fields on a torus: how far an ensemble's is from the solver's.

C(l) = <(u(x) - m)(u(x + l) - m)>, over members, places and both axes, is the transform of the mean
power; m is the mean over members and places. The distance of two ensembles is the root mean square
of C_a - C_b over lags along an axis of up to half the box, in units of the solver's variance. The
floor is that of as many of the solver's members from as many others, over splits of its pool.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.seeds.phases import held
from pushforward import Archive, Study
from pushforward.comparison import common
from pushforward.evaluation import gaussian, members

SPLITS = 100


def autocovariances(archive: Archive, studies: Mapping[str, Study]) -> dict[str, dict[str, Any]]:
    """Of every study the distances of the ensembles `trained` and `gaussian`, for JSON.

    Of each: value, floor (its mean), limit (its 95 %), ratio to the floor, and members.
    """
    found = {}
    for name, study in studies.items():
        training, generation, count = study.training, study.generation, study.evaluation.members
        whole = study.simulation.grid
        grid = common(generation.target, whole)
        unseen = study.evaluation.unseen
        solver = members(archive.open(study.simulation), training, whole, grid)
        pool = held(solver[unseen.start : unseen.stop])[:, 0]
        ours = members(archive.open(generation), training, generation.target, grid)
        trained = held(ours[:count])[:, 0]
        control = gaussian(study.evaluation, archive, range(count), grid)[:, 0]
        found[name] = {
            "trained": distance(trained, pool),
            "gaussian": distance(control, pool),
        }
    return found


def distance(ours: Tensor, pool: Tensor, splits: int = SPLITS) -> dict[str, float]:
    """Of members (member, row, column) to the last of a pool, as many, with the pool's floor.

    Raises ValueError for a pool that does not hold twice as many.
    """
    count = len(ours)
    if len(pool) < 2 * count:
        raise ValueError(
            f"expected a pool of at least {2 * count} for {count} members, got {len(pool)}; "
            "compare fewer"
        )
    theirs, mine = lagged(pool.double()), lagged(ours.double())
    scale = float(theirs.mean(0)[0, 0])
    value = _gap(mine.mean(0), theirs[-count:].mean(0), scale)
    random, floors = np.random.default_rng(0), []
    for _ in range(splits):
        order = torch.from_numpy(random.permutation(len(pool)))
        a, b = theirs[order[:count]].mean(0), theirs[order[count : 2 * count]].mean(0)
        floors.append(_gap(a, b, scale))
    floor = float(np.mean(floors))
    return {
        "value": value,
        "floor": floor,
        "limit": float(np.quantile(floors, 0.95)),
        "ratio": value / floor,
        "members": count,
    }


def lagged(fields: Tensor) -> Tensor:
    """The autocovariance of every member (member, axis, lag) at lags 0..N/2 along rows, columns.

    >>> x = torch.arange(8) * torch.pi / 4
    >>> lagged((2**0.5 * x.cos()).expand(1, 8, 8).double()).round(decimals=6)[0, 1].tolist()
    [1.0, 0.707107, 0.0, -0.707107, -1.0]
    """
    u = fields - fields.mean()
    power = torch.fft.fft2(u, norm="forward").abs().square()
    whole = torch.fft.ifft2(power, norm="forward").real
    half = min(fields.shape[1:]) // 2 + 1
    return torch.stack([whole[:, :half, 0], whole[:, 0, :half]], 1)


def _gap(a: Tensor, b: Tensor, scale: float) -> float:
    return float((a - b).square().mean().sqrt() / scale)
