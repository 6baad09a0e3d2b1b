r"""A surrogate: a basis fitted to data, a path, a denoiser and the sampler that joins them.

    basis (mean, spectrum)  ->  y, log snr  ->  F(y, log snr)  ->  sampler  ->  fields on any grid

Before any training F = 0 and `sample` draws from the Gaussian field with the data's mean and
spectrum, exactly. `loss` trains F. `calibrate` then closes the loop: the variance of y is 1 on
every shell at every time if the denoiser is exact, d E|y|^2 / d theta = -2 E[F y] otherwise, so
one sampling pass measures the drift of each shell, and its inverse square root is kept as a gain
that the samplers of the flow apply between steps.

A member is addressed by (seed, number): its start and its churn are drawn per coefficient, so it
is the same function whatever else is asked, and on every grid. The network works on the smallest
grid that holds the kept waves; the grid asked for only decides where the function is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.generative.bases import BASES
from pushforward.generative.basis import Basis
from pushforward.generative.calibration import apply, level
from pushforward.generative.denoiser import Denoiser, NeuralDenoiser
from pushforward.generative.draw import Sampler, check_process
from pushforward.generative.exact import GaussianDenoiser
from pushforward.generative.guidance import Functionals, Guided
from pushforward.generative.kernel import Dynamics
from pushforward.generative.learned import learn
from pushforward.generative.likelihood import Likelihood, elbo
from pushforward.generative.loss import Objective
from pushforward.generative.observation import Observation
from pushforward.generative.path import Levels
from pushforward.generative.presets import Architecture, restore
from pushforward.generative.remainder import LEVELS, between, remainder
from pushforward.solvers import Grid, Use

BATCH = 32  # members per network evaluation when nothing else is said


class Surrogate(nn.Module):
    """A generative surrogate of fields (channel, *grid); build it with `fit` or `restore`.

    Attributes: `architecture`, `grid` (the training grid), `basis`, `denoiser`, `levels` (log snr
    at times t), `objective` (the loss), `log_gain` (time, channel, shell), the calibration, zero
    until `calibrate`, and `left` (time, channel, shell), what the network leaves unknown, 1 until
    `measure`.

    >>> from pushforward.generative import Backbone, preset
    >>> from pushforward.solvers import GaussianField
    >>> grid, small = Grid((16, 16)), Backbone(width=8, modes=4, layers=1)
    >>> u = GaussianField.matern(3.0, 0.5, cutoff=5).sample(range(64), grid)[:, None]
    >>> surrogate = Surrogate.fit(preset("gud", backbone=small), u, grid)
    >>> surrogate.sample(range(2), Grid((32, 32)), sampler=Sampler(steps=2)).shape
    torch.Size([2, 1, 32, 32])
    """

    log_gain: Tensor
    left: Tensor

    def __init__(self, architecture: Architecture, grid: Grid, basis: Basis) -> None:
        super().__init__()
        self.architecture, self.grid, self.basis = architecture, grid, basis
        self.denoiser: Denoiser = NeuralDenoiser(
            basis, architecture.backbone, oversampling=architecture.oversampling
        )
        self.register_buffer(
            "log_gain", basis.mask.new_zeros(2, basis.channels, basis.shells, dtype=torch.float32)
        )
        self.register_buffer("left", torch.ones_like(self.log_gain))
        self._bind()

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
        if fields.ndim != grid.ndim + 2 or fields.shape[2:] != grid.shape:
            raise ValueError(
                f"expected fields (member, channel, *{grid.shape}), got {tuple(fields.shape)}; "
                "reshape them, one channel included"
            )
        basis = BASES[architecture.basis].fit(
            fields, grid, floor=architecture.floor, apart=architecture.channels == "apart"
        )
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

        >>> from pushforward.generative import Backbone, preset
        >>> from pushforward.solvers import GaussianField
        >>> u = GaussianField.matern(3.0, 0.5, cutoff=3).sample(range(32), Grid((8, 8)))[:, None]
        >>> small = preset("edm", backbone=Backbone(width=8, modes=2, layers=1))
        >>> one = Surrogate.fit(small, u, Grid((8, 8)))
        >>> two = Surrogate.restore(one.config, one.state_dict())
        >>> two.sample([3]).equal(one.sample([3]))
        True
        """
        architecture = restore(config["architecture"])
        box = config["grid"]
        grid = Grid(tuple(box["shape"]), tuple(box["extent"]), box.get("boundary", "periodic"))
        parts = {
            name.removeprefix("basis."): tensor
            for name, tensor in tensors.items()
            if name.startswith("basis.")
        }
        with torch.random.fork_rng(devices=[]):
            surrogate = cls(architecture, grid, BASES[architecture.basis](grid, parts))
        tensors = {"left": surrogate.left, **tensors}  # earlier trainings did not measure it
        surrogate.log_gain = torch.zeros_like(tensors["log_gain"])
        surrogate.left = torch.zeros_like(tensors["left"])
        surrogate.load_state_dict(tensors)
        return surrogate

    def gaussian(self) -> Surrogate:
        """The same surrogate with its network left out: what training with zero steps gives."""
        with torch.random.fork_rng(devices=[]):
            other = Surrogate(self.architecture, self.grid, self.basis)
        other.denoiser = GaussianDenoiser()
        return other

    def adopt(self, coarse: Surrogate) -> None:
        """Starts from the network of a surrogate trained on a coarser grid (Multilevel diffusion).

        Raises ValueError when the two differ in more than their resolution.
        """
        if not isinstance(self.denoiser, NeuralDenoiser):
            raise ValueError("expected a surrogate with a network, got the Gaussian one; fit one")
        if not isinstance(coarse.denoiser, NeuralDenoiser):
            raise ValueError("expected a coarse surrogate with a network, got the Gaussian one")
        self.denoiser.adopt(coarse.denoiser)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Surrogate:
        """What `to` does to every tensor; levels and loss go along."""
        super()._apply(fn, recurse)
        self._bind()
        return self

    def _bind(self) -> None:
        """Levels and loss of the architecture as it is, where the basis is."""
        self.levels: Levels = self.architecture.path.on(self.basis.modes, self.dynamics)
        self.objective = Objective(self.architecture.loss, self.levels, self.basis.mask)

    @property
    def dynamics(self) -> Dynamics:
        """The linear process of the lifted samplers."""
        return self.architecture.process.dynamics().to(self.basis.mask.device)

    def loss(
        self,
        x: Float[Tensor, "batch channel mode"],
        t: Float[Tensor, " batch"],
        eps: Float[Tensor, "batch channel mode"],
        log_snr: Float[Tensor, "batch channel mode"] | None = None,
    ) -> Float[Tensor, " batch"]:
        """The preset's loss of whitened fields x seen through normals eps at times t.

        `log_snr` replaces the path's levels. See `Objective`.
        """
        return self.objective(self.denoiser, x, t, eps, log_snr)

    @torch.no_grad()
    def sample(
        self,
        members: Iterable[int],
        grid: Grid | None = None,
        *,
        seed: int = 0,
        sampler: Sampler | None = None,
        observed: Observation | None = None,
        guided: Functionals | None = None,
        extend: bool = False,
        batch: int = BATCH,
    ) -> Float[Tensor, "member channel *grid"]:
        """Members of the ensemble as fields, float32, on a grid (None: the training grid).

        `sampler` is the preset's when it does not say; `observed` are whitened coefficients that
        are known (see `observe`), and `guided` values of functionals (see `guidance`), the same
        for all members or one each; `batch` members are computed together.
        On a finer grid `extend` adds the scales that the data did not have, as Gaussian ones with
        the spectrum continued; the others stay what they are.

        Raises ValueError for an observation with a sampler that cannot start from one, and where
        nothing can be extended.
        """
        members, grid, sampler = list(members), grid or self.grid, self._own(sampler)
        if batch < 1:
            raise ValueError(f"expected a batch of at least 1 member, got {batch}; raise it")
        basis = self.basis.extend(grid) if extend else self.basis
        fields = [basis.mean.new_empty((0, basis.channels, *grid.shape)).float()]
        for start in range(0, len(members), batch):
            some = members[start : start + batch]
            known = observed and observed.part(start, start + batch)
            seen = guided and guided.part(start, start + batch)
            x = self._draw(some, seed, sampler, known, seen)
            if extend:
                finer = basis.noise(seed, Use.PRIOR, some)[..., x.shape[-1] :]
                x = torch.cat([x, finer], -1)
            fields.append(basis.synthesise(x, grid))
        return torch.cat(fields)

    def _own(self, sampler: Sampler | None) -> Sampler:
        """The sampler with what it leaves open filled in, checked against the process."""
        sampler = (sampler or Sampler()).or_else(self.architecture.method, self.architecture.churn)
        check_process(sampler, self.architecture.process)
        return sampler

    def _draw(
        self,
        members: list[int],
        seed: int,
        sampler: Sampler,
        observed: Observation | None,
        guided: Functionals | None,
    ) -> Tensor:
        """Whitened coefficients of some members."""

        def normals(i: int) -> Tensor:
            return self.basis.noise(seed, Use.CHURN if i else Use.PRIOR, members, i)

        levels = self.along(sampler.strength)
        if observed is None and guided is None:
            # gains are of the path they were measured on
            gains = apply(self.log_gain, self.basis, sampler.steps)
            return sampler(
                self.denoiser,
                levels,
                normals,
                dynamics=self.dynamics,
                watch=gains if sampler.strength == 1 else None,
            )
        start, denoiser, path = normals(0), self.denoiser, levels
        if observed is not None:
            path = observed.levels(levels)
            start = observed.start(levels, start, churn=sampler.reversal, denoiser=denoiser)
        if guided is not None:
            guided = guided.to(start)
            denoiser = Guided(denoiser, guided, self._left)
            first = path(torch.ones(1, device=start.device))[0]
            noise = guided.noise(seed, members).to(start)
            other = self.basis.noise(seed, Use.PRIOR, members, 1)
            start = guided.start(start, first, other, noise, observed)
        return sampler(denoiser, path, normals, dynamics=self.dynamics, start=start)

    def calibrate(self, members: int = 256, *, seed: int = 0, steps: int = 20) -> None:
        """Levels the variance of every shell along one pass of the preset's own sampler.

        See `calibration.level`. Langevin dynamics takes no gains and is not calibrated.
        """
        sampler = self._own(Sampler(steps=steps))
        if sampler.method == "langevin":
            return
        self.log_gain = level(
            sampler,
            self.denoiser,
            self.basis,
            self.levels,
            lambda i: self.basis.noise(seed, Use.CALIBRATION, range(members), i),
            dynamics=self.dynamics,
            batch=BATCH,
        )

    @torch.no_grad()
    def measure(self, x: Float[Tensor, "member channel mode"], *, seed: int = 0) -> None:
        """Measures on whitened fields what the network leaves unknown of them (see `remainder`).

        The fields should be ones that it has not learnt from.
        """
        levels = self.levels(torch.linspace(0, 1, LEVELS, device=x.device))
        self.left = remainder(
            self.denoiser,
            self.basis,
            levels,
            x,
            lambda i: self.basis.noise(seed, Use.REMAINDER, range(len(x)), i),
            batch=BATCH,
        )

    def _left(self, log_snr: Float[Tensor, "channel mode"]) -> Float[Tensor, "channel mode"]:
        """What the network leaves unknown at these levels."""
        levels = self.levels(torch.linspace(0, 1, len(self.left), device=log_snr.device))
        return between(self.left, levels, self.basis, log_snr)

    def learn(self, x: Float[Tensor, "member channel mode"], *, seed: int = 0) -> list[float]:
        """Fits a process of kind `learned` to few-step samples like whitened fields x.

        The network stays as it is. Returns the energy distance before every iteration and after
        the last; see `learned`. Raises ValueError for a process of another kind.
        """
        learned, losses = learn(
            self.architecture.process,
            self.denoiser,
            self.levels,
            x,
            lambda count: lambda i: self.basis.noise(seed, Use.PROCESS, range(count), i),
        )
        self.architecture = replace(self.architecture, process=learned)
        self._bind()
        return losses

    def likelihood(
        self,
        x: Float[Tensor, "member channel mode"],
        *,
        seed: int = 0,
        times: int = 32,
        strength: float = 1.0,
    ) -> Likelihood:
        """The variational bound of whitened fields (`basis.analyse`) beside the Gaussian baseline.

        `times` + 4 network evaluations a member. `per_dimension(basis.log_det)` of it is in the
        fields' units. `strength` multiplies the hierarchy of the path, for a network trained on a
        range of them (see `Variation`): a bound of the same fields along another path, with ends
        of its own. See `flow_log_density` for the density of the probability flow.

        Raises ValueError for a negative strength, and `times` that are no positive multiple of 4.
        """
        levels = self.along(strength)

        def normals(i: int) -> Tensor:
            return self.basis.noise(seed, Use.LIKELIHOOD, range(len(x)), i)

        return elbo(self.denoiser, levels, x, normals, times=times, kept=self.basis.mask)

    def along(
        self, strength: float
    ) -> Callable[[Float[Tensor, " time"]], Float[Tensor, "time channel mode"]]:
        """The levels of the path whose hierarchy is multiplied by a strength.

        Raises ValueError for a negative strength.
        """
        if not strength >= 0:
            raise ValueError(
                f"expected a strength >= 0 of the hierarchy, got {strength}; 1 is the path's own"
            )

        def levels(t: Tensor) -> Tensor:
            return self.levels(t, strength)

        return levels
