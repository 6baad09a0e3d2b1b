"""Frozen values that refuse mistakes, and specs: values with an upstream and a name.

The name of a spec is

    kind-xxxxxxxxxx,    x = first 10 hex digits of SHA-256 over the canonical JSON of its lineage.

Canonical means: sorted keys, no spaces, numbers in their field's type (1 is 1.0 where a float is
meant, -0.0 is 0.0) and in Python's shortest exact form. What only decides how results are laid out
on disk (`block`) or when work is saved (`checkpoint_every`) is left out, at every depth; whatever
may change a bit of the result is in. Defaults are written out, so that a default that changes in a
later version changes the name; all but those of options that came after the first names were given
(`later`), which are left out while they ask for nothing, so that what is stored keeps its name.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pushforward.mistakes import sentence


class Value(BaseModel):
    """A frozen value that refuses unknown keys; its mistakes are ValueErrors of one sentence."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", revalidate_instances="always", allow_inf_nan=False
    )

    def __init__(self, /, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise ValueError(sentence(error, type(self), type(self).__name__)) from None

    # pydantic then still validates nested values by itself, and keeps their paths
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


class Spec(Value):
    """What all four specs have: a kind, a name, and the upstream that they need.

    `layout` names what is no part of the name, `later` what is one only where it is not the
    default (which must never change).
    """

    kind: ClassVar[str]
    verb: ClassVar[str]
    above: ClassVar[str | None] = None
    layout: ClassVar[frozenset[str]] = frozenset()
    later: ClassVar[frozenset[str]] = frozenset()

    @property
    def name(self) -> str:
        """The kind and a hash of the whole lineage: where the result lies in an archive."""
        text = json.dumps(self.identity(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return f"{self.kind}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"

    @property
    def upstream(self) -> Spec | None:
        """The spec whose result this one starts from."""
        return getattr(self, self.above) if self.above else None

    def identity(self) -> dict[str, Any]:
        """The lineage as JSON values, without what is layout only; its hash is the name."""
        fields = type(self).model_fields
        unasked = {name for name in self.later if getattr(self, name) == fields[name].default}
        own = self.model_dump(mode="json", exclude={*self.layout, *unasked, self.above or ""})
        values = {"kind": self.kind, **_plain(own)}
        if self.upstream is not None:
            values["upstream"] = self.upstream.identity()
        return values


def above(spec: Spec) -> list[str]:
    """The names of all that a spec starts from, nearest first."""
    names = []
    while spec.upstream is not None:
        spec = spec.upstream
        names.append(spec.name)
    return names


def _plain(value: Any) -> Any:
    """JSON values with -0.0 made 0.0, which compares equal and must have the same name."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value + 0.0 if isinstance(value, float) else value
