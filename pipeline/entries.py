"""What an archive holds, as a list that can be asked: one entry a result.

The lineage of a result is flattened to facts, (dotted path, value), for instance
``training.simulation.equation.viscosity`` = 0.001. A question names the end of a path and a value,
or a pair (least, largest).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pushforward import files
from pushforward.places import Place
from pushforward.progress import say
from pushforward.shelf import MANIFEST, SPEC


@dataclass(frozen=True)
class Entry:
    """One result: its name, kind, whether it is complete, its spec's values, and its manifest."""

    name: str
    kind: str
    sealed: bool
    spec: dict[str, Any]
    manifest: dict[str, Any] | None

    def matches(self, where: Mapping[str, Any]) -> bool:
        """Whether the lineage has all of the values.

        >>> spec = {"equation": {"kind": "navier_stokes", "viscosity": 1e-3}, "members": 8}
        >>> entry = Entry("simulation-1a2b3c4d5e", "simulation", True, spec, None)
        >>> entry.matches({"equation": "navier_stokes", "viscosity": (0, 0.01), "members": 8})
        True
        >>> entry.matches({"equation.viscosity": 0.5})
        False
        """
        facts = [("kind", self.kind), ("name", self.name), *_facts(self.spec)]
        return all(
            any(_named(path, key) and _equal(fact, value) for path, fact in facts)
            for key, value in where.items()
        )


def entries(root: Place) -> Iterator[Entry]:
    """Every result below a folder, by name, complete or not; a damaged one is only told of."""
    for path in sorted(root.glob(f"*/{SPEC}")):
        seal = path.with_name(MANIFEST)
        try:
            values = files.read_json(path)
            manifest = files.read_json(seal) if seal.exists() else None
        except OSError as error:
            say(str(error))
            continue
        yield Entry(path.parent.name, values["kind"], seal.exists(), values["spec"], manifest)


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


def _equal(fact: Any, value: Any) -> bool:
    if isinstance(fact, (int, float)) and isinstance(value, tuple) and len(value) == 2:
        return value[0] <= fact <= value[1]
    if isinstance(value, (list, tuple)):
        return isinstance(fact, list) and list(value) == fact
    return fact == value or str(fact) == str(value)
