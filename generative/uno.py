r"""U-shaped neural operators: Fourier layers on fewer and fewer waves, and back.

Depth d holds the waves |k_i| <= 2 modes / 2^d, in 2^d times as many channels (at most four
times), and its Fourier layers convolve the lower half of them. Both are numbers of waves, not
parts of the grid, so that below depth 0 every grid leads to the same few points: large scales
pass through many layers at little cost. Between two depths stands an exact resampling, so that
convolution and resampling together are one that reads on a grid and writes on another. On the way
up, what comes from below is added to what each depth made on the way down.

The few points are not those of the grid, so a move by one point of the grid is followed only as
far as the nonlinearities make no aliases. Below depth 0 they are always evaluated on twice as many
points; what remains is of the order of 1e-2 or less, where an FNO has none.

    Rahman et al., U-NO (2022), arXiv:2204.11127
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from pushforward.generative.band import Activation, resample
from pushforward.generative.fno import Block
from pushforward.generative.pointwise import Pointwise, channels_last, embedding, located


class UNO(nn.Module):
    """A U-shaped neural operator of depths 0..layers - 1, conditioned on a vector, on any grid.

    (batch, channels_in, *grid), (batch, condition) -> (batch, channels_out, *grid). It returns
    exactly zero until it is trained. `alias_free` is exact within `BandLimited`.

    >>> import torch
    >>> network = UNO(2, 1, condition=5, width=8, modes=4, layers=3, ndim=2)
    >>> network(torch.randn(3, 2, 16, 15), torch.randn(3, 5)).abs().max().item()
    0.0
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        condition: int,
        width: int,
        modes: int,
        layers: int,
        ndim: int,
        periodic: bool = True,
        alias_free: bool = False,
    ) -> None:
        super().__init__()
        self.periodic, features = periodic, 4 * width
        self.modes = [-(-modes // 2**depth) for depth in range(layers)]  # rounded up
        widths = [width * 2 ** min(depth, 2) for depth in range(layers)]

        def block(depth: int) -> Block:
            return Block(
                widths[depth],
                self.modes[depth],
                ndim,
                features,
                periodic=periodic,
                alias_free=alias_free or depth > 0,
            )

        self.embed = embedding(condition, features)
        channels = [channels_in + (0 if periodic else ndim), *widths]
        self.enter = nn.ModuleList(Pointwise(*channels[d : d + 2]) for d in range(layers))
        self.down = nn.ModuleList(block(d) for d in range(layers))
        self.rise = nn.ModuleList(Pointwise(widths[d + 1], widths[d]) for d in range(layers - 1))
        self.up = nn.ModuleList(block(d) for d in range(layers - 1))
        self.head = Pointwise(width, width)
        self.activation = Activation(alias_free, periodic)
        self.project = Pointwise(width, channels_out)
        nn.init.zeros_(self.project.weight)

    def forward(self, u: Float[Tensor, "b i ..."], condition: Float[Tensor, "b k"]) -> Tensor:
        embedding = self.embed(condition)
        h, made = channels_last(u if self.periodic else located(u)), []
        for depth, (enter, block) in enumerate(zip(self.enter, self.down, strict=True)):
            h = block(enter(self._resample(h, depth)), embedding)
            made.append(h)
        made.pop()
        for rise, block in zip(reversed(self.rise), reversed(self.up), strict=True):
            skip = made.pop()
            h = block(skip + resample(rise(h), skip.shape[2:], self.periodic), embedding)
        return self.project(self.activation(self.head(h))).contiguous()

    def _resample(self, h: Tensor, depth: int) -> Tensor:
        """h on the points of a depth: the grid's own at depth 0, just enough further down."""
        if depth == 0:
            return h
        points = 4 * self.modes[depth] + 1
        return resample(h, [min(points, n) for n in h.shape[2:]], self.periodic)
