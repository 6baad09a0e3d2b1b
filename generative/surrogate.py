r"""A surrogate: a basis fitted to data, a path, a denoiser and the sampler that joins them.

    basis (mean, spectrum)  ->  y, log snr  ->  F(y, log snr)  ->  sampler  ->  fields on any grid

Before any training F = 0 and `sample` draws from the Gaussian field with the data's mean and
spectrum, exactly. `loss` trains F. `calibrate` then closes the loop: the variance of y is 1 on
every shell at every time if the denoiser is exact, d E|y|^2 / d theta = -2 E[F y] otherwise, so
one sampling pass measures the drift of each shell, and its inverse square root is kept as a gain
that the sampler applies between steps.

A member is addressed by (seed, number): its start and its churn are drawn per wave number, so it
is the same function whatever else is asked, and on every grid. The network works on the smallest
grid that holds the kept waves; the grid asked for only decides where the function is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.generative.basis import FourierBasis
from pushforward.generative.calibration import apply, level
from pushforward.generative.denoiser import Denoiser, GaussianDenoiser, NeuralDenoiser, angle
from pushforward.generative.path import Path
from pushforward.generative.sampler import integrate_path
from pushforward.solvers import Grid, Use

BATCH = 32  # members per network evaluation when nothing else is said
FLAT_WEIGHT = 0.05  # of the loss, where coefficients are clean or drowned


@dataclass(frozen=True)
class Architecture:
    """A surrogate's plain numbers: the path, the network's size, what the basis keeps.

    `floor` is the smallest variance kept relative to the largest; `oversampling` enlarges the grid
    the network works on (1: the smallest that holds the kept waves).

    >>> Architecture(width=16).path.hierarchy
    1.0
    """

    preset: Literal["gud"] = "gud"
    path: Path = field(default_factory=Path)
    width: int = 32
    modes: int = 12
    layers: int = 4
    floor: float = 1e-11
    oversampling: float = 1.0

    def __post_init__(self) -> None:
        if (
            min(self.width, self.modes, self.layers) < 1
            or self.floor <= 0
            or self.oversampling < 1
        ):
            raise ValueError(
                "expected width, modes, layers and oversampling >= 1 and floor > 0, got "
                f"{self.width}, {self.modes}, {self.layers}, {self.oversampling}, {self.floor}; "
                "change the one that is off"
            )


class Surrogate(nn.Module):
    """A generative surrogate of fields (channel, *grid); build it with `fit` or `restore`.

    Attributes: `architecture`, `grid` (the training grid), `basis`, `denoiser`, `log_gain`
    (time, channel, shell), the calibration, zero until `calibrate`.

    >>> from pushforward.solvers import GaussianField
    >>> grid = Grid((16, 16))
    >>> u = GaussianField.matern(3.0, 0.5, cutoff=5).sample(range(64), grid)[:, None]
    >>> surrogate = Surrogate.fit(Architecture(width=8, modes=4, layers=1), u, grid)
    >>> surrogate.sample(range(2), Grid((32, 32)), steps=2).shape
    torch.Size([2, 1, 32, 32])
    """

    log_gain: Tensor

    def __init__(self, architecture: Architecture, grid: Grid, basis: FourierBasis) -> None:
        super().__init__()
        self.architecture, self.grid, self.basis = architecture, grid, basis
        self.denoiser: Denoiser = NeuralDenoiser(
            basis,
            width=architecture.width,
            modes=architecture.modes,
            layers=architecture.layers,
            oversampling=architecture.oversampling,
        )
        self.register_buffer("log_gain", torch.zeros(2, basis.channels, basis.shells))
        self._log_variance = basis.log_variance.float()

    @classmethod
    def fit(
        cls,
        architecture: Architecture,
        fields: Float[Tensor, "n channel *grid"],
        grid: Grid,
        *,
        seed: int = 0,
    ) -> Surrogate:
        """An untrained surrogate of fields (the exact Gaussian one); `seed` draws its network."""
        basis = FourierBasis.fit(fields, grid, floor=architecture.floor)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(architecture, grid, basis)

    @property
    def config(self) -> dict[str, Any]:
        """What `restore` needs beside the tensors, ready for JSON."""
        return {"architecture": asdict(self.architecture), "grid": asdict(self.grid)}

    @classmethod
    def restore(cls, config: dict[str, Any], tensors: dict[str, Tensor]) -> Surrogate:
        """The surrogate that `config` and `state_dict()` were taken from.

        >>> from pushforward.solvers import GaussianField
        >>> u = GaussianField.matern(3.0, 0.5, cutoff=3).sample(range(32), Grid((8, 8)))[:, None]
        >>> one = Surrogate.fit(Architecture(width=8, modes=2, layers=1), u, Grid((8, 8)))
        >>> two = Surrogate.restore(one.config, one.state_dict())
        >>> two.sample([3], steps=1).equal(one.sample([3], steps=1))
        True
        """
        values = dict(config["architecture"])
        architecture = Architecture(**{**values, "path": Path(**values["path"])})
        grid = Grid(tuple(config["grid"]["shape"]), tuple(config["grid"]["extent"]))
        parts = {
            name.removeprefix("basis."): tensor
            for name, tensor in tensors.items()
            if name.startswith("basis.")
        }
        with torch.random.fork_rng(devices=[]):
            surrogate = cls(architecture, grid, FourierBasis(grid.extent, parts))
        surrogate.log_gain = torch.zeros_like(tensors["log_gain"])
        surrogate.load_state_dict(tensors)
        return surrogate

    def gaussian(self) -> Surrogate:
        """The same surrogate with its network left out: what training with zero steps gives."""
        with torch.random.fork_rng(devices=[]):
            other = Surrogate(self.architecture, self.grid, self.basis)
        other.denoiser = GaussianDenoiser()
        return other

    def levels(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch channel mode"]:
        """log snr of every coefficient at times t."""
        return self.architecture.path(t, self._log_variance.to(t.device))

    def loss(
        self,
        x: Float[Tensor, "batch channel mode"],
        t: Float[Tensor, " batch"],
        eps: Float[Tensor, "batch channel mode"],
    ) -> Float[Tensor, " batch"]:
        """The weighted mean square error of F; 1 for an untrained network, on any data.

        x are whitened fields (`basis.analyse`), eps standard normals (`basis.noise`). The weight
        sin(2 theta) is the speed at which a coefficient turns: where it is drowned or clean, F
        moves nothing, and its error is noise that cannot be predicted.
        """
        log_snr = self.levels(t)
        theta = angle(log_snr)
        weight = (torch.sin(2 * theta) + FLAT_WEIGHT) * self.basis.mask
        sin, cos = torch.sin(theta), torch.cos(theta)
        error = self.denoiser.correction(cos * x + sin * eps, log_snr) - (sin * x - cos * eps)
        return (error.square() * weight).sum((1, 2)) / weight.sum((1, 2))

    @torch.no_grad()
    def sample(
        self,
        members: Iterable[int],
        grid: Grid | None = None,
        *,
        seed: int = 0,
        steps: int = 16,
        order: int = 2,
        churn: float = 0.0,
        batch: int = BATCH,
    ) -> Float[Tensor, "member channel *grid"]:
        """Members of the ensemble as fields, float32, on a grid (None: the training grid).

        `steps` network evaluations each; `order` 1 or 2; `churn` 0 (probability flow) to 1
        (ancestral). `batch` members are computed together.
        """
        members, grid = list(members), grid or self.grid
        fields = [self.basis.mean.new_empty((0, self.basis.channels, *grid.shape)).float()]
        for start in range(0, len(members), batch):
            some = members[start : start + batch]
            x = integrate_path(
                self.denoiser,
                self.architecture.path,
                self._log_variance,
                lambda i, some=some: self.basis.noise(
                    seed, Use.CHURN if i else Use.PRIOR, some, i
                ),
                steps=steps,
                order=order,
                churn=churn,
                watch=apply(self.log_gain, self.basis, steps),
            )
            fields.append(self.basis.synthesise(x, grid))
        return torch.cat(fields)

    def calibrate(self, members: int = 256, *, seed: int = 0, steps: int = 20) -> None:
        """Levels the variance of every shell along one sampling pass; see `calibration.level`."""
        self.log_gain = level(
            self.denoiser,
            self.basis,
            self.architecture.path,
            self.basis.noise(seed, Use.CALIBRATION, range(members)),
            steps=steps,
            batch=BATCH,
        )
