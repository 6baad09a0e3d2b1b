r"""Images as members: sets that are published as files, as fields on any grid of a box.

An image fills the box, rows along its first axis, from the top. Pixels are the values at the
points of the *native* grid, of as many points as the image has pixels, and the field through them
is the interpolant by the waves of the box: `Grid.resample` of the native grid to the asked one,
which is alias-free, and on the native grid the pixels themselves.

    neumann     points lie in the middles of cells, as pixels do; waves are cosines
    periodic    points lie at j h: pixels do, too, so that the image is moved by half a pixel
                against its box, in which it goes round. Colours that differ at opposite sides ring
                there; digits are dark all around

`image_fields` says what is made of pixels: their intensity, signed distances to outlines (on a
native grid of 32 x 32), logits (on the native grid only, where they can be undone), or phases
(whose cosine and sine have squares that add up to 1 on the native grid).

Members are numbered as images are in the files, those to train on first, then those to test on.
`synthetic` images come from no file of anybody's: see `stand_ins`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from pushforward.generative.dequantisation import Dequantisation
from pushforward.image_fields import Field, channels_of, intensities, logits, phases
from pushforward.published import COLLECTIONS, Collection
from pushforward.signed_distance import LATTICE, signed_distance
from pushforward.solvers import Grid
from pushforward.stacks import Stack
from pushforward.stand_ins import stand_in

Kind = Literal["mnist", "cifar10", "pcam", "imagenet32", "volcano"]


@dataclass(frozen=True)
class Images:
    """Images of a published set, `split` "train", "test", or "all" (train, then test).

    `field` is what is made of them (None: the intensity, of "volcano" the phase). `gray` takes the
    luma of three colours. `crop` keeps so many pixels a side: of "pcam" in the middle, 32, of
    "volcano" the first ones, 120, if None. `files` are names of files to take in place of those
    published, with their `sha256`, or without. `synthetic` stands images in for them.

    Raises ValueError for what does not go together.

    >>> Images("mnist", field="signed_distance", synthetic=True).draw([3], Grid((64, 64))).shape
    torch.Size([1, 1, 64, 64])
    >>> Images("mnist", field="phase")
    Traceback (most recent call last):
    ValueError: expected the field intensity, logit or signed_distance of mnist, got phase; ...
    """

    kind: Kind = "mnist"
    split: Literal["train", "test", "all"] = "all"
    field: Field | None = None
    gray: bool = False
    crop: int | None = None
    files: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    synthetic: bool = False

    boundary: ClassVar[tuple[str, ...]] = ("neumann", "periodic")

    def __post_init__(self) -> None:
        about = self.collection
        object.__setattr__(self, "files", tuple(self.files))
        object.__setattr__(self, "sha256", tuple(self.sha256))
        object.__setattr__(self, "field", self.field or about.fields[0])
        if self.crop is None:
            object.__setattr__(self, "crop", about.crop)
        fault = self._fault(about)
        if fault:
            raise ValueError(fault)

    def _fault(self, about: Collection) -> str | None:
        """What does not go together, in one sentence."""
        if self.field not in about.fields:
            known = ", ".join(about.fields[:-1]) + " or " * (len(about.fields) > 1)
            return (
                f"expected the field {known}{about.fields[-1]} of {self.kind}, got {self.field}; "
                "choose one"
            )
        if self.split not in ("train", "test", "all") or not about.count(self.split):
            return f"expected a split of {self.kind} that has images, got {self.split}; choose all"
        if self.gray and (about.shape[0] == 1 or self.field != "intensity"):
            return (
                f"expected gray intensities of coloured images, got gray, {self.kind} and "
                f"{self.field}; leave gray out"
            )
        if self.crop != about.crop and (
            about.crop is None or not 4 <= (self.crop or 0) <= about.shape[1]
        ):
            sizes = f"a crop of 4 to {about.shape[1]} pixels" if about.crop else "no crop"
            return f"expected {sizes} of {self.kind}, got {self.crop}; change it, or leave it out"
        if self.files and (self.synthetic or self.split != "all"):
            return (
                f"expected the split all and no synthetic images with files, got {self.split} and "
                f"synthetic {self.synthetic}; leave files out, or those"
            )
        if self.sha256 and len(self.sha256) != len(self.files):
            return (
                f"expected a sha256 for each of {len(self.files)} files, got {len(self.sha256)}; "
                "give all or none"
            )
        for one in self.sha256:
            if not re.fullmatch("[0-9a-fA-F]{64}", one):
                return (
                    f"expected a sha256 of 64 hexadecimal digits, got {one!r:.70}; see sha256sum"
                )
        return None

    @property
    def collection(self) -> Collection:
        """The published set.

        Raises ValueError for a kind that is none.
        """
        if self.kind not in COLLECTIONS:
            raise ValueError(
                f"expected a set of images {', '.join(COLLECTIONS)}, got {self.kind}; choose one"
            )
        return COLLECTIONS[self.kind]

    @property
    def channels(self) -> dict[str, str]:
        """What each channel is.

        >>> list(Images("cifar10").channels), list(Images("cifar10", gray=True).channels)
        (['red', 'green', 'blue'], ['intensity'])
        """
        return channels_of(self.field or "", self.collection.shape[0] == 3 and not self.gray)

    @property
    def dequantisation(self) -> Dequantisation | None:
        """What made logits of whole pixels; None for other fields."""
        return Dequantisation() if self.field == "logit" else None

    @property
    def native(self) -> tuple[int, int]:
        """The grid's shape on which the values are the images' own.

        >>> Images("pcam").native, Images("mnist", field="signed_distance").native
        ((32, 32), (32, 32))
        """
        if self.field == "signed_distance":
            return LATTICE, LATTICE
        _, height, width = self.collection.shape
        return self.crop or height, self.crop or width

    def check(self, grid: Grid, members: int) -> None:
        """Raises ValueError for a grid or a number of members that cannot be; reads no file.

        >>> Images("mnist", split="test").check(Grid((28, 28)), 10_001)
        Traceback (most recent call last):
        ValueError: expected at most 10000 members of mnist (test), got 10001; ask for fewer
        """
        native = self.native
        if grid.ndim != 2:
            raise ValueError(
                f"expected a grid of 2 axes for images, got shape {grid.shape}; give two sizes"
            )
        if self.field == "logit" and grid.shape != native:
            raise ValueError(
                f"expected the grid {native} for logits of {self.kind}, got {grid.shape}; whole "
                "pixels are nowhere else: take it, or the field intensity"
            )
        if grid.periodic and any(n % 2 for n in native):
            raise ValueError(
                f"expected an even crop on a periodic grid, got {native}; change the crop"
            )
        if not self.files and members > self.collection.count(self.split):
            raise ValueError(
                f"expected at most {self.collection.count(self.split)} members of {self.kind} "
                f"({self.split}), got {members}; ask for fewer"
            )

    def at(self, location: str | None) -> Located:
        """The same images, read from a folder (None: see `downloads.find`)."""
        return Located(self, location)

    def draw(
        self, members: Sequence[int], grid: Grid, seed: int = 0
    ) -> Float[Tensor, "member channel *grid"]:
        """Fields of the images of these numbers; see `Located.draw`."""
        return self.at(None).draw(members, grid, seed)

    def pixels(self, members: Sequence[int]) -> UInt8[Tensor, "member channel row column"]:
        """The images of these numbers as they are; see `Located.pixels`."""
        return self.at(None).pixels(members)


@dataclass(frozen=True)
class Located:
    """Images and the folder that they are read from; whatever they are is theirs.

    >>> Images("cifar10", synthetic=True).at(None).pixels([0, 7]).shape
    torch.Size([2, 3, 32, 32])
    """

    images: Images
    location: str | None = None

    @property
    def kind(self) -> str:
        """The set's name."""
        return self.images.kind

    @property
    def channels(self) -> dict[str, str]:
        """What each channel is."""
        return self.images.channels

    @property
    def boundary(self) -> tuple[str, ...]:
        """The boundaries of grids that images may be on."""
        return self.images.boundary

    @property
    def dequantisation(self) -> Dequantisation | None:
        """What made logits of whole pixels; None for other fields."""
        return self.images.dequantisation

    def check(self, grid: Grid, members: int) -> None:
        """Raises ValueError for a grid or a number of members that cannot be; reads no file."""
        self.images.check(grid, members)

    def pixels(self, members: Sequence[int]) -> UInt8[Tensor, "member channel row column"]:
        """The images of these numbers, cropped, uint8.

        Raises ValueError for interferograms, which have none, for numbers beyond the last image,
        and for files that are not what they should be; OSError where there are none; LookupError
        where a package is missing.
        """
        if self.images.field == "phase":
            raise ValueError(
                "expected images of whole pixels, got interferograms; take the field that draw "
                "gives"
            )
        return torch.from_numpy(self._taken(members))

    def draw(
        self, members: Sequence[int], grid: Grid, seed: int = 0
    ) -> Float[Tensor, "member channel *grid"]:
        """Fields on a grid, float64, (member, channel, *grid.shape).

        `seed` addresses the uniforms of logits, and nothing else: images are what they are.

        Raises what `check` and `pixels` do.

        >>> images, grid = Images("mnist", synthetic=True).at(None), Grid((28, 28))
        >>> torch.equal(255 * images.draw([5], grid), images.pixels([5]).double())
        True
        """
        images = self.images
        images.check(grid, 0)
        native = replace(grid, shape=images.native)
        if images.field == "phase":
            return native.resample(phases(self._taken(members)), grid)
        pixels = self.pixels(members)
        if images.dequantisation is not None:
            return logits(pixels, members, seed, images.dequantisation)
        if images.field == "signed_distance":
            return native.resample(signed_distance(pixels), grid)
        return native.resample(intensities(pixels, images.gray), grid)

    def _taken(self, members: Sequence[int]) -> np.ndarray:
        """Images of these numbers, cropped: uint8, of interferograms complex."""
        about, crop = self.images.collection, self.images.crop
        one, numbers = self.images, np.asarray(list(members), np.int64)
        if one.synthetic:
            found = stand_in(one.kind, numbers.tolist())
        else:
            stack = Stack(one.kind, one.split, one.files, one.sha256, self.location)
            found = stack.take(numbers)
        if crop is None or crop == about.shape[1]:
            return found
        first = (about.shape[1] - crop) // 2 if about.centred else 0
        return np.ascontiguousarray(found[..., first : first + crop, first : first + crop])
