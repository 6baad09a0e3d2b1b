"""What an archive holds, as a list that can be asked: one entry a result.

The lineage of a result is flattened to facts, (dotted path, value), for instance
``training.simulation.equation.viscosity`` = 0.001. A question (see `conditions`) names the end of
a path. `resolution` is the fewest points an axis of the result's own grid; what no path is called
is a score of an evaluation (see `outcome`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pushforward import files
from pushforward.conditions import Condition, conditions
from pushforward.formats import readable
from pushforward.lineage import above
from pushforward.outcome import outcome
from pushforward.places import Place
from pushforward.progress import say
from pushforward.shelf import MANIFEST, SPEC, named
from pushforward.spec import restore

UPSTREAM = ("generation", "training", "simulation")


@dataclass(frozen=True)
class Entry:
    """One result: its name, kind, whether it is complete, its spec's values, its manifest, folder.

    `said` are the names of its lineage as they are stored.
    """

    name: str
    kind: str
    sealed: bool
    spec: dict[str, Any]
    manifest: dict[str, Any] | None
    folder: Place | None = None
    said: tuple[str, ...] | None = None

    @cached_property
    def above(self) -> tuple[str, ...]:
        """The names of all that it starts from, nearest first; of format 1, worked out."""
        if self.said is not None:
            return self.said
        try:
            return tuple(above(restore(self.kind, self.spec)))
        except ValueError:  # of another version
            return ()

    @cached_property
    def scores(self) -> dict[str, float]:
        """What an evaluation came to; nothing for what is none, or not complete."""
        there = self.kind == "evaluation" and self.sealed and self.folder is not None
        return outcome(self.folder) if there and self.folder else {}

    @property
    def shape(self) -> tuple[int, ...]:
        """The points an axis of the grid that it is of: its own, or the simulation's."""
        grid = self.spec.get("grid") or origin(self.spec)["grid"]
        return tuple(grid["shape"])

    def matches(self, where: Mapping[str, Any], *words: str | Condition) -> bool:
        """Whether the lineage, or the scores, have all of the values and meet all conditions.

        >>> spec = {"equation": {"kind": "navier_stokes", "viscosity": 1e-3}, "members": 8}
        >>> entry = Entry("simulation-1a2b3c4d5e", "simulation", True, spec, None)
        >>> entry.matches({"equation": "navier_stokes", "viscosity": (0, 0.01), "members": 8})
        True
        >>> entry.matches({"equation.viscosity": 0.5}), entry.matches({}, "viscosity < 0.01")
        (False, True)
        """
        return all(one.holds(self._told(one.key)) for one in conditions(words, where))

    def _told(self, key: str) -> list[Any]:
        """What it says under a name."""
        if key == "resolution":
            return [min(self.shape)]
        facts = [("kind", self.kind), ("name", self.name), *_facts(self.spec)]
        found = [fact for path, fact in facts if _named(path, key)]
        return found or ([self.scores[key]] if key in self.scores else [])


def entries(root: Place) -> Iterator[Entry]:
    """Every result below a folder, by name, complete or not.

    One that is damaged, or of a later format, is only told of.
    """
    for name in names(root):
        entry = _entry(root, name)
        if entry is not None:
            yield entry


def find(root: Place, name: str) -> Entry:
    """The one result below a folder that is called so, or whose name begins so.

    Raises LookupError where none is, or several are.

    >>> from pathlib import Path
    >>> find(Path("nowhere"), "training")
    Traceback (most recent call last):
    LookupError: training is not in nowhere; `pushforward list` says what is
    """
    exact = named(name) and files.exists(root / name / SPEC)  # the others need not be looked at
    like = [name] if exact else [one for one in names(root) if one.startswith(name)]
    found = [entry for entry in (_entry(root, one) for one in like) if entry is not None]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(entry.name for entry in found)
        raise LookupError(
            f"expected one result, got {len(found)} named {name}...: {several}; be exact"
        )
    raise LookupError(f"{name} is not in {root}; `pushforward list` says what is")


def _entry(root: Place, name: str) -> Entry | None:
    """What a folder holds; None, and a line to read, for what is damaged."""
    path, seal = root / name / SPEC, root / name / MANIFEST
    try:
        values = readable(files.read_json(path), path)
        said = tuple(values["from"]) if "from" in values else None
        facts = values["kind"], files.exists(seal), dict(values["spec"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        say(f"{name}: {error}" if isinstance(error, OSError) else f"{name}: damaged {SPEC}")
        return None
    manifest = None
    if facts[1]:
        try:
            manifest = files.read_json(seal)
        except OSError as error:
            say(str(error))
    return Entry(name, *facts, manifest, path.parent, said)


def names(root: Place) -> list[str]:
    """The folders that are called like results and hold a spec, in order."""
    return sorted(path.parent.name for path in root.glob(f"*/{SPEC}") if named(path.parent.name))


def origin(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values of the simulation that a result's values start from.

    >>> origin({"members": 4, "training": {"simulation": {"members": 8}}})
    {'members': 8}
    """
    return down(spec, UPSTREAM)


def subject(simulation: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values of a simulation's equation, or of the data in its place.

    >>> subject({"equation": None, "data": {"kind": "mnist"}})
    {'kind': 'mnist'}
    """
    return simulation.get("data") or simulation["equation"]


def down(spec: Mapping[str, Any], kinds: Sequence[str]) -> Mapping[str, Any]:
    """The values that lie in a spec's, of the last of some kinds."""
    for kind in kinds:
        spec = spec.get(kind, spec)
    return spec


def _facts(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _facts(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _named(path: str, key: str) -> bool:
    """Whether a path ends in the key; a field with kinds answers by its kind.

    A bare `kind` is the result's own.
    """
    if key == "kind":
        return path == "kind"
    return any(f".{path}".endswith(f".{end}") for end in (key, f"{key}.kind"))
