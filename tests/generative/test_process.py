"""Processes: the published matrices, their stationary laws, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pushforward.generative.process import Process, checked, complete

KINDS = ("vp", "ve", "cld", "psld", "alda", "malda", "learned")


def test_the_drifts_are_the_published_ones() -> None:
    # CLD: dx = v / M, dv = -x - G v / M with M = 1/4, G = 1; the MDM paper's has M = 1, G = 2
    assert Process("cld").dynamics().F.tolist() == [[0.0, 4.0], [-1.0, -4.0]]
    assert Process("cld", mass=1.0).dynamics().F.tolist() == [[0.0, 1.0], [-1.0, -2.0]]
    assert Process("cld").dynamics().N.tolist() == [[0.0, 0.0], [0.0, 2.0]]
    # PSLD: A = 1/2 [[-g, 1/m], [-1, -n]], noise diag(g, m n), 1/m = (g - n)^2 / 4
    psld = Process("psld").dynamics()
    torch.testing.assert_close(
        psld.F, torch.tensor([[-0.01, 4.0], [-1.0, -4.01]], dtype=torch.float64) / 2
    )
    torch.testing.assert_close(psld.N.diagonal().tolist(), [0.01, 4.01 / 4])
    alda = [[0.0, 1.0, 0.0], [-1.0, 0.0, 1.0], [0.0, -1.0, -1.0]]
    assert Process("alda").dynamics().F.tolist() == alda
    malda = [[0.0, 1.0, 1.0], [-1.0, -2.0, 1.0], [-1.0, -1.0, -2.0]]
    assert Process("malda").dynamics().F.tolist() == malda
    assert Process("malda", variables=5).dynamics().variables == 5


def diagonal(*entries: float) -> list[list[float]]:
    return np.diag(entries).tolist()


# F, N = G G^T, the stationary law and the start, copied out; see `process` for the papers
PUBLISHED = {
    "vp": ([[-0.5]], [[1.0]], [[1.0]], [[0.0]]),
    "cld": ([[0, 4], [-1, -4]], diagonal(0, 2), diagonal(1, 0.25), diagonal(0, 0.01)),
    "psld": (
        [[-0.005, 2], [-0.5, -2.005]],
        diagonal(0.01, 1.0025),
        diagonal(1, 0.25),
        diagonal(0, 0.01),
    ),
    "alda": (
        [[0, 1, 0], [-1, 0, 1], [0, -1, -1]],
        diagonal(0, 0, 2),
        diagonal(1, 1, 1),
        diagonal(0, 0.01, 0.01),
    ),
    "malda": (
        [[0, 1, 1], [-1, -2, 1], [-1, -1, -2]],
        diagonal(0, 4, 4),
        diagonal(1, 1, 1),
        diagonal(0, 0.01, 0.01),
    ),
    "learned": ([[-0.5, 1], [-1, -0.5]], diagonal(1, 1), diagonal(1, 1), diagonal(0, 0.01)),
}


@pytest.mark.parametrize("kind", PUBLISHED)
def test_all_matrices_are_the_published_ones(kind: Any) -> None:
    dynamics = Process(kind).dynamics()
    for name, wanted in zip(("F", "N", "S", "V0"), PUBLISHED[kind], strict=True):
        found = getattr(dynamics, name)
        torch.testing.assert_close(found, matrix(*wanted), rtol=1e-14, atol=1e-16)


def test_the_auxiliaries_start_with_a_part_of_their_stationary_variance() -> None:
    assert Process("cld").dynamics().V0.tolist() == [[0.0, 0.0], [0.0, 0.04 * 0.25]]
    assert Process("cld", v0=1.0, mass=3.0).dynamics().V0[1, 1] == 3
    assert Process("vp").dynamics().V0.tolist() == [[0.0]]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ve"])
def test_laws_are_stationary_reached_and_damped(kind: Any) -> None:
    dynamics = Process(kind).dynamics()
    assert dynamics.S is not None
    F, N, S = (matrix.numpy() for matrix in (dynamics.F, dynamics.N, dynamics.S))
    assert np.abs(F @ S + S @ F.T + N).max() < 1e-12
    reach = np.hstack([np.linalg.matrix_power(F, j) @ N for j in range(len(F))])
    assert np.linalg.matrix_rank(reach) == len(F)
    known = {"vp": -0.5, "cld": -2.0, "psld": -1.005, "alda": -0.215, "malda": -1, "learned": -0.5}
    assert abs(np.linalg.eigvals(F).real.max() - known[kind]) < 1e-3


def test_any_rotation_and_diffusion_make_a_process() -> None:
    generator = torch.Generator().manual_seed(0)
    for variables in (2, 3, 4):
        G, B = torch.randn(2, variables, variables, dtype=torch.float64, generator=generator)
        D = B @ B.mT
        rows = [tuple(map(tuple, matrix.tolist())) for matrix in (G - G.mT, (D + D.mT) / 2)]
        process = Process(
            "learned", variables=variables, rotation=rows[0], diffusion=rows[1], full=True
        )
        torch.testing.assert_close(process.dynamics().N, D + D.mT)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "vp", "mass": 1.0}, "expected no mass for vp"),
        ({"kind": "cld", "coupling": 1.0}, "expected no coupling for cld"),
        ({"kind": "cld", "mass": -1.0}, "finite mass of at least"),
        ({"kind": "cld", "mass": float("nan")}, "finite mass of at least"),
        ({"kind": "cld", "v0": -0.1}, "finite v0 of at least 0"),
        ({"kind": "malda", "variables": 1}, "finite variables of at least 2"),
        ({"kind": "cld", "friction": 0.0}, "Kalman rank of 0"),
        ({"kind": "alda", "coupling": 0.0}, "Kalman rank of 1"),
        ({"kind": "cld", "friction": -1.0}, "positive semidefinite diffusion"),
        ({"kind": "psld", "friction": 0.01}, "friction unlike data_friction"),
        ({"kind": "learned", "rotation": ((0.0, 1.0), (1.0, 0.0))}, "expected a skew rotation"),
        ({"kind": "learned", "rotation": ((0.0,),)}, "make them K rows of K"),
        ({"kind": "cld", "full": False}, "expected no full for cld"),
        ({"kind": "learned", "diffusion": ((1.0, 0.1), (0.1, 1.0))}, "set full to true"),
        ({"kind": "learned", "diffusion": ((1.0, 2.0), (2.0, 1.0))}, "make it B B"),
        ({"kind": "learned", "diffusion": ((1.0, 2.0), (0.0, 1.0))}, "make it B B"),
        ({"kind": "learned", "diffusion": ((1.0, 0.0), (0.0, float("inf")))}, "finite numbers"),
    ],
)
def test_what_is_no_process_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Process(**given)


def matrix(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_matrices_are_checked_too() -> None:
    good = Process("cld").dynamics()
    with pytest.raises(ValueError, match="relative residual of"):
        checked(replace(good, S=torch.eye(2, dtype=torch.float64)))
    with pytest.raises(ValueError, match="symmetric positive stationary covariance"):
        checked(replace(good, S=-1 * good.V0))
    still = replace(good, F=matrix((0.0, 1.0), (-1.0, 0.0)), N=matrix((1.0, 0.0), (0.0, 1.0)))
    with pytest.raises(ValueError, match="relative residual of"):
        checked(still)
    undamped = replace(still, N=1e-12 * still.N, S=torch.eye(2, dtype=torch.float64))
    with pytest.raises(ValueError, match="growth rate"):
        checked(undamped)
    with pytest.raises(ValueError, match="expected a skew rotation"):
        complete(matrix((1.0,)), matrix((1.0,)), matrix((1.0,)), 0.0)
