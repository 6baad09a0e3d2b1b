"""A study: one lineage from equation to scores, with a title, written as YAML.

    title: Forced two-dimensional turbulence
    simulation: {equation: {kind: navier_stokes, viscosity: 1e-3}, grid: {shape: [64, 64]}, ...}
    training: {members: 1024, held_out: 256, steps: 4000, surrogate: {preset: gud}}
    generation: {members: 256, steps: 16}
    evaluation: {members: 256}

The sections stand side by side; each is the spec of that name without its upstream, which is the
section before it. Single values can be overridden as on the command line, ``a.b=c`` (c in YAML).
YAML is read with the safe loader, with two repairs: 1e-3 is a number (YAML 1.1 wants 1.0e-3), and
a key that stands twice in one mapping is refused instead of the last one winning silently.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError, model_validator

from pushforward.lineage import Spec, Value
from pushforward.mistakes import sentence, unknown
from pushforward.smoke import shrink
from pushforward.spec import KINDS, Evaluation, Generation, Simulation, Training

SEEDS = "seeds"  # the folder of the catalogue with the papers' experiments


class Study(Value):
    """One lineage with a title: what a catalogue entry holds and `pushforward run` runs.

    Built from sections (a mapping for each verb) or from an `Evaluation`, which holds the others.

    >>> study = Study.load("smoke", ["simulation.seed=3"])
    >>> study.simulation.seed, study.training.simulation is study.simulation
    (3, True)
    """

    title: str
    description: str = ""
    evaluation: Evaluation

    @model_validator(mode="before")
    @classmethod
    def _compose(cls, values: Any) -> Any:
        return _compose(values) if isinstance(values, dict) else values

    @property
    def generation(self) -> Generation:
        """The spec of `generate`."""
        return self.evaluation.generation

    @property
    def training(self) -> Training:
        """The spec of `train`."""
        return self.generation.training

    @property
    def simulation(self) -> Simulation:
        """The spec of `simulate`."""
        return self.training.simulation

    @property
    def specs(self) -> tuple[Simulation, Training, Generation, Evaluation]:
        """The four specs, upstream first."""
        return self.simulation, self.training, self.generation, self.evaluation

    @classmethod
    def load(cls, source: str | Path, overrides: Sequence[str] = ()) -> Study:
        """The study in a YAML file, or of that name in the installed catalogue.

        Of a page with variants it is the page as it stands (see `variants.family` for all).

        Raises FileNotFoundError for a study that is not there, ValueError for what is wrong in it.
        """
        return cls.of(page(source), overrides, source)

    @classmethod
    def of(cls, values: dict[str, Any], overrides: Sequence[str], source: str | Path) -> Study:
        """The study of a page's values; `source` is what mistakes are told of."""
        values = {key: value for key, value in values.items() if key != "variants"}
        for text in overrides:
            key, value = _parsed(text)
            override(values, key, value)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ValueError(f"{source}: {sentence(error, cls)}") from None

    def smoke(self) -> Study:
        """The same study shrunk to seconds: does it hold together?"""
        return Study(
            title=f"{self.title} (smoke)",
            description=self.description,
            evaluation=shrink(self.evaluation),
        )

    def sections(self) -> dict[str, Any]:
        """The study as `load` reads it: JSON values, one mapping a section."""
        values: dict[str, Any] = {"title": self.title, "description": self.description}
        for spec in self.specs:
            values[spec.kind] = spec.model_dump(mode="json", exclude={spec.above or ""})
        return values


def _compose(values: dict[str, Any]) -> dict[str, Any]:
    """Puts each section into the next one as its upstream."""
    if isinstance(values.get("evaluation"), Evaluation) and not {*values} & (
        {*KINDS} - {"evaluation"}
    ):
        return values
    extra = [key for key in values if key not in ("title", "description", *KINDS)]
    if extra:
        raise ValueError(f"{extra[0]}: {unknown(extra[0], ['title', 'description', *KINDS])}")
    spec: Spec | None = None
    for kind, model in KINDS.items():
        section = values.get(kind, {})
        if not isinstance(section, dict):
            raise ValueError(
                f"{kind}: expected named values, got {section!r:.60}; write key: value"
            )
        if model.above is not None and model.above in section:
            raise ValueError(
                f"{kind}.{model.above}: expected sections side by side, got one inside the other; "
                f"write it as {model.above}"
            )
        upstream = {} if model.above is None else {model.above: spec}
        try:
            spec = model.model_validate({**section, **upstream})
        except ValidationError as error:
            raise ValueError(sentence(error, model, kind)) from None
    top = {key: value for key, value in values.items() if key in ("title", "description")}
    return {**top, "evaluation": spec}


def read(source: str | Path, shelf: Traversable, what: str) -> dict[str, Any]:
    """The mapping in a YAML file, or in the file of that name on a shelf of the catalogue.

    `what` is what the mapping is of, for the sentence that says it is not there.
    """
    path = Path(source)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        text = path.read_text(encoding="utf-8")
    else:
        names = sorted(
            Path(item.name).stem for item in shelf.iterdir() if item.name.endswith(".yaml")
        )
        named = path.stem if path.suffix in (".yaml", ".yml") else path.name
        if named not in names or path.parent.name not in ("", shelf.name):
            raise FileNotFoundError(
                f"no {what} at {source}: expected a YAML file or a name of the catalogue; "
                + unknown(named, names)
            )
        text = shelf.joinpath(f"{named}.yaml").read_text(encoding="utf-8")
    try:
        values = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{source}: expected YAML, got {reason}; correct it there") from None
    if not isinstance(values, dict):
        raise ValueError(f"{source}: expected named values, got {values!r:.60}; write key: value")
    return values


def page(source: str | Path) -> dict[str, Any]:
    """The values of a study's page, in a YAML file or of that name in the installed catalogue.

    Raises FileNotFoundError for one that is not there, ValueError for what is no mapping.

    >>> page("smoke")["title"], page("seeds/multilevel_mixture")["title"][:20]
    ('Smoke', 'Multilevel diffusion')
    """
    shelf, parts = resources.files("pushforward.catalogs"), Path(source).parts
    if len(parts) == 2 and parts[0] == SEEDS and not Path(source).is_file():
        return read(parts[1], shelf.joinpath(SEEDS), "study")
    return read(source, shelf, "study")


def _parsed(text: str) -> tuple[str, Any]:
    """The key and the value of an override "a.b=c"."""
    path, equals, value = text.partition("=")
    if not equals or not all(path.strip().split(".")):
        raise ValueError(f"expected an override a.b=c, got {text!r}; name a key and a value")
    try:
        return path.strip(), value_of(value)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def override(values: dict[str, Any], path: str, value: Any) -> None:
    """Sets the value of a key "a.b"; whether the key exists is for the specs to say.

    >>> values = {"a": {"b": 1}}
    >>> override(values, "a.c", 2)
    >>> values
    {'a': {'b': 1, 'c': 2}}
    """
    keys = path.split(".")
    for key in keys[:-1]:
        values[key] = {} if values.get(key) is None else values[key]
        values = values[key]
        if not isinstance(values, dict):
            raise ValueError(f"{path}: expected {key} to hold named values, got {values!r:.60}")
    values[keys[-1]] = value


def value_of(text: str) -> Any:
    """The value that a text is, as studies are read.

    >>> value_of("[0, 1e-3]"), value_of("kdv")
    ([0, 0.001], 'kdv')
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError:
        raise ValueError(f"expected a YAML value, got {text!r}; quote it") from None


class _Loader(yaml.SafeLoader):
    """The safe loader, with exponents as YAML 1.2 has them and without repeated keys."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"the key {key} twice in one mapping{node.start_mark}")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)
