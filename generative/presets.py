"""What a surrogate is made of, as plain numbers, and the papers' models as pages of them.

A preset fixes basis, path, process, loss and sampler; none has code of its own. The network and
the whitening by the data's spectrum are the same for all (a denoiser sees a process only through
the log snr of each coefficient), so presets differ in what they are about, and any entry of a page
can be changed below its name. A preset samples with the best rule for its diffusion; the papers'
own, annealed Langevin of DDO and Euler and Maruyama's of Multilevel diffusion and MDM, cost ten
times more or are further off, and go by their names.

    gud         Gerdes et al., arXiv:2410.02667: a = 1, the hierarchy of standard diffusion
    ddo         Lim et al., arXiv:2302.07400: trace-class noise, geometric ladder
    multilevel  Hagemann et al., arXiv:2303.04772: Bessel noise, VP clock, reverse SDE (split)
    vp          Song et al., arXiv:2011.13456: white noise, VP clock, ancestral sampling
    edm         Karras et al., arXiv:2206.00364: white noise, rho = 7, Heun
    cld         Dockhorn et al., arXiv:2112.07068: critically damped Langevin, split sampler
    psld        Pandey, Mandt, arXiv:2303.01748: noise in data and momentum
    alda, malda Singhal et al., MDM, arXiv:2302.07261: two auxiliary variables
    learned     the same: a process learnt for few steps, after the network
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from pushforward.generative.backbone import Backbone
from pushforward.generative.draw import Method, Sampler, check_process
from pushforward.generative.loss import Loss
from pushforward.generative.ordering import Hierarchy, Prior, Windows
from pushforward.generative.path import Path
from pushforward.generative.process import Process
from pushforward.generative.variation import Variation

Preset = Literal[
    "gud", "ddo", "multilevel", "vp", "edm", "cld", "psld", "alda", "malda", "learned"
]


@dataclass(frozen=True)
class Architecture:
    """A surrogate's plain numbers; take one from `preset` and change what is to be different.

    `channels` are whitened together, each given the ones before it, so that the untrained
    surrogate has their correlations; or apart, so that each may be known or left out by itself.
    `floor` is the smallest variance kept relative to the largest; `oversampling` enlarges the grid
    the network works on (1: the smallest that holds the kept waves); `method` and `churn` are what
    the preset samples with when nothing else is said.

    >>> preset("edm", backbone=Backbone(width=16)).method
    'heun'
    """

    preset: Preset = "gud"
    basis: Literal["fourier", "cosine", "haar", "pixel", "pca"] = "fourier"
    channels: Literal["together", "apart"] = "together"
    path: Path = field(default_factory=Path)
    process: Process = field(default_factory=Process)
    loss: Loss = field(default_factory=Loss)
    variation: Variation = field(default_factory=Variation)
    backbone: Backbone = field(default_factory=Backbone)
    method: Method = "multistep"
    churn: float = 0.0
    floor: float = 1e-11
    oversampling: float = 1.0

    def __post_init__(self) -> None:
        if self.floor <= 0 or self.oversampling < 1:
            raise ValueError(
                f"expected floor > 0 and oversampling >= 1, got {self.floor} and "
                f"{self.oversampling}; change the one that is off"
            )
        drawn = Sampler(self.method, churn=self.churn)  # refuses churn where it means nothing
        check_process(drawn, self.process)
        if self.loss.weight == "elbo" and self.variation.varies:
            raise ValueError(
                "expected another loss than elbo for levels that vary, got elbo, whose weight is "
                "the speed of one path; choose loss.weight turn or noise"
            )


def preset(name: str, **changes: Any) -> Architecture:
    """The architecture of that name, with fields changed.

    Raises ValueError for a name that is none.

    >>> preset("ddo").path.prior.kind
    'matern'
    """
    if name not in PRESETS:
        raise ValueError(
            f"expected one of {', '.join(PRESETS)} for a preset, got {name}; choose one"
        )
    return replace(PRESETS[name], **changes)


GIVEN = Path(Hierarchy(), Prior(), "vp", lowest=-10.0, highest=9.0, ends="given")
WHITE = replace(GIVEN, prior=Prior("white"))
DRIVEN = replace(WHITE, schedule="process")


def _multivariate(name: Any) -> Architecture:
    return Architecture(
        name, path=DRIVEN, process=Process(name), loss=Loss("elbo"), method="strang"
    )


PRESETS: dict[str, Architecture] = {
    "gud": Architecture(),
    "ddo": Architecture(
        "ddo",
        path=replace(
            GIVEN, prior=Prior("matern", exponent=1.5, length=0.2), schedule="linear", highest=10.0
        ),
        loss=Loss("noise", norm=1.0),
    ),
    "multilevel": Architecture(
        "multilevel",
        path=replace(GIVEN, prior=Prior("matern", exponent=1.1, length=0.354)),
        loss=Loss("noise", norm=1.0),
        method="strang",
    ),
    "vp": Architecture("vp", path=WHITE, loss=Loss("noise"), churn=1.0),
    "edm": Architecture(
        "edm",
        path=replace(WHITE, schedule="edm", lowest=-10.15, highest=11.04),
        loss=Loss("flat"),
        method="heun",
    ),
    **{name: _multivariate(name) for name in ("cld", "psld", "alda", "malda")},
    "learned": Architecture("learned", path=WHITE, process=Process("learned"), method="sscs"),
}

PARTS = {
    "path": Path,
    "hierarchy": Hierarchy,
    "prior": Prior,
    "windows": Windows,
    "process": Process,
    "loss": Loss,
    "variation": Variation,
    "backbone": Backbone,
}


def restore(values: Mapping[str, Any]) -> Architecture:
    """The architecture that `dataclasses.asdict` made values of, by way of JSON or not.

    >>> from dataclasses import asdict
    >>> restore(asdict(preset("cld"))) == preset("cld")
    True
    """
    return Architecture(**_restored(values))


def merged(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values on top of those of the preset that they name (or the default one), part by part.

    >>> merged({"preset": "vp", "path": {"lowest": -8.0}})["path"]["prior"]["kind"]
    'white'
    """
    base = PRESETS.get(values.get("preset", "gud"))
    return dict(values) if base is None else _merged(asdict(base), values)


def _merged(base: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in values.items():
        old = base.get(key)
        if isinstance(old, dict) and isinstance(value, Mapping):
            value = _merged(old, value)
        out[key] = value
    return out


def _restored(values: Mapping[str, Any]) -> dict[str, Any]:
    out = {}
    for key, value in values.items():
        if key in PARTS and value is not None:
            value = PARTS[key](**_restored(value))
        out[key] = _frozen(value)
    return out


def _frozen(value: Any) -> Any:
    """Lists, which JSON makes of tuples, as tuples again."""
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
