r"""A surrogate seen on coarser grids of its box: fewer waves, and the same network.

The waves that a coarse grid holds are some of those of the fine one, and everything that is said
of a wave (mean, variance, noise at an address) is said of it alone. So the whitened fields and the
noise of a coarse level are those of the fine one with the other waves left out, and a network
whose weights do not depend on the grid can be trained on the coarse level first, where a step is
cheaper, and go on on the finer ones. The size of a wave in what the network sees stays that of the
coarsest level, and bands that it does not have start at F = 0 (see `NeuralDenoiser.adopt`).

    Hagemann et al., Multilevel diffusion (2023), arXiv:2303.04772, section 4
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pushforward.generative.basis import SHARED, Basis, same_box
from pushforward.generative.denoiser import NeuralDenoiser
from pushforward.generative.surrogate import Surrogate
from pushforward.generative.whitening import columns
from pushforward.solvers import Grid

WAVES = ("fourier", "cosine")  # bases whose coefficients are the same on every grid


def restricted(basis: Basis, grid: Grid) -> Basis:
    """The basis of those waves that a coarser grid of the box holds, `basis.held(grid)`.

    Raises ValueError for a basis without waves, another box, and a grid that holds none.

    >>> from pushforward.generative import FourierBasis
    >>> from pushforward.solvers import GaussianField, Use
    >>> u = GaussianField.matern(3.0, 0.5, cutoff=7).sample(range(64), Grid((16, 16)))[:, None]
    >>> basis = FourierBasis.fit(u, Grid((16, 16)))
    >>> coarse = restricted(basis, Grid((8, 8)))
    >>> noise = basis.noise(0, Use.TRAINING, range(2))[..., basis.held(Grid((8, 8)))]
    >>> torch.equal(coarse.noise(0, Use.TRAINING, range(2)), noise)
    True
    """
    if basis.kind not in WAVES:
        raise ValueError(
            f"expected a basis of waves to look at on a coarser grid, got {basis.kind}; choose "
            f"{' or '.join(WAVES)}"
        )
    same_box(basis, grid)
    keep = basis.held(grid)
    parts = columns({name: getattr(basis, name) for name in SHARED}, keep)
    if not parts["mask"].any():
        raise ValueError(f"expected a grid that holds some waves, got {grid.shape}; take more")
    waves = basis.get_buffer("waves")
    each = keep.view(len(waves), -1)[:, 0]  # the two coefficients of a wave go together
    return type(basis)(grid, {**parts, "waves": waves[each]})


def ladder(surrogate: Surrogate, grids: Sequence[Grid]) -> list[Surrogate]:
    """The surrogate on coarser grids, coarse to fine: all of them train its one network.

    The surrogate itself is changed to be the last of them: see `NeuralDenoiser.adopt`.

    Raises ValueError as `restricted` does, and for a surrogate without a network.

    >>> from pushforward.generative import Backbone, preset
    >>> from pushforward.solvers import GaussianField
    >>> u = GaussianField.matern(3.0, 0.5, cutoff=7).sample(range(64), Grid((16, 16)))[:, None]
    >>> small = preset("gud", backbone=Backbone(width=8, modes=4, layers=1))
    >>> fine = Surrogate.fit(small, u, Grid((16, 16)))
    >>> coarse = ladder(fine, [Grid((8, 8))])[0]
    >>> coarse.denoiser.network is fine.denoiser.network
    True
    """
    own, levels = surrogate.denoiser, []
    if not isinstance(own, NeuralDenoiser):
        raise ValueError("expected a surrogate with a network, got the Gaussian one; fit one")
    for grid in grids:
        with torch.random.fork_rng(devices=[]):  # for a network that is left at once
            level = Surrogate(surrogate.architecture, grid, restricted(surrogate.basis, grid))
        if not isinstance(level.denoiser, NeuralDenoiser) or level.denoiser.guided != own.guided:
            raise ValueError(
                f"expected a mean that varies on {grid.shape} points as it does on "
                f"{surrogate.grid.shape}, got one that only the finer grid shows; take more points"
            )
        level.denoiser.network = own.network
        if not levels:
            own.adopt(level.denoiser)
        level.denoiser.share(own)
        levels.append(level)
    return levels
