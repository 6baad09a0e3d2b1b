"""Sets of images as they are published: which files, where from, their checksums and counts.

    mnist       70,000 digits, 28 x 28, grey. LeCun, Cortes, Burges (1998)
    cifar10     60,000 photographs, 32 x 32, three colours. Krizhevsky (2009)
    pcam        294,912 crops of 32 x 32 in the middle of histological patches of 96 x 96, three
                colours; the validation set is left out. Veeling et al. (2018), arXiv:1806.03962
    imagenet32  1,331,167 photographs, 32 x 32, three colours; the validation set is the test set.
                Chrabaszcz, Loshchilov, Hutter (2017), arXiv:1707.08819
    volcano     4,096 interferograms, the first 120 x 120 of 128 x 128 points, complex.
                Rahman et al. (2022), arXiv:2205.03017

Those who publish ImageNet32 and the interferograms give no checksum, and ask for an account or
have it in a folder of Google Drive: there is no URL to fetch them from.
Of what PCAM's files unpack to there is none, either: unpacked ones are to be named as `files`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ZENODO = "https://zenodo.org/records/2546921/files/"
MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"


@dataclass(frozen=True)
class Published:
    """A file: its name, URL and checksum (sha256, or md5:...), and that of what it unpacks to."""

    name: str
    url: str | None = None
    checksum: str | None = None
    contents: str | None = None


@dataclass(frozen=True)
class Collection:
    """A set: images of `shape` (channel, row, column) in its files, of which `crop` are taken.

    >>> COLLECTIONS["cifar10"].count("all"), COLLECTIONS["cifar10"].native
    (60000, (3, 32, 32))
    """

    shape: tuple[int, int, int]
    counts: dict[str, int]
    files: dict[str, tuple[Published, ...]]
    crop: int | None = None
    hint: str = ""
    fields: tuple[str, ...] = ("intensity", "logit")
    centred: bool = field(default=False)

    def count(self, split: str) -> int:
        """How many images a split has."""
        return sum(self.counts.values()) if split == "all" else self.counts[split]

    @property
    def native(self) -> tuple[int, int, int]:
        """Channels, rows and columns of what is taken of an image."""
        channels, *sides = self.shape
        height, width = (self.crop or side for side in sides)
        return channels, height, width


_CIFAR = (
    Published(
        "cifar-10-binary.tar.gz",
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "md5:c32a1d4ab5d03f1284b67883e8d87530",
    ),
)


def _patches(split: str, md5: str) -> tuple[Published, ...]:
    name = f"camelyonpatch_level_2_split_{split}_x.h5.gz"
    return (Published(name, f"{ZENODO}{name}?download=1", f"md5:{md5}"),)


COLLECTIONS = {
    "mnist": Collection(
        shape=(1, 28, 28),
        counts={"train": 60_000, "test": 10_000},
        files={
            "train": (
                Published(
                    "train-images-idx3-ubyte.gz",
                    f"{MNIST}train-images-idx3-ubyte.gz",
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                ),
            ),
            "test": (
                Published(
                    "t10k-images-idx3-ubyte.gz",
                    f"{MNIST}t10k-images-idx3-ubyte.gz",
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                ),
            ),
        },
        fields=("intensity", "logit", "signed_distance"),
    ),
    "cifar10": Collection(
        shape=(3, 32, 32),
        counts={"train": 50_000, "test": 10_000},
        files={"train": _CIFAR, "test": _CIFAR},
    ),
    # checksums as torchvision's PCAM verifies them: the set's own page once had two exchanged
    "pcam": Collection(
        shape=(3, 96, 96),
        counts={"train": 262_144, "test": 32_768},
        files={
            "train": _patches("train", "1571f514728f59376b705fc836ff4b63"),
            "test": _patches("test", "d8c2d60d490dbd479f8199bdfa0cf6ec"),
        },
        crop=32,
        centred=True,
    ),
    "imagenet32": Collection(
        shape=(3, 32, 32),
        counts={"train": 1_281_167, "test": 50_000},
        files={
            "train": (Published("Imagenet32_train_npz.zip"),),
            "test": (Published("Imagenet32_val_npz.zip"),),
        },
        hint="it is at image-net.org/download-images, behind an account; ",
    ),
    "volcano": Collection(
        shape=(1, 128, 128),
        counts={"train": 4_096, "test": 0},
        files={"train": (), "test": ()},
        crop=120,
        hint="they are in a folder of Google Drive that github.com/neuraloperator/GANO names; ",
        fields=("phase",),
    ),
}
