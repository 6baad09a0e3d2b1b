"""Variants: a page of YAML that is a family of studies, one for each combination of named changes.

    simulation: {...}                     # the page as it stands is a study itself
    variants:
      prior:
        white: {training.surrogate.path.prior: {kind: white}}
        bessel: {training.surrogate.path.prior: {kind: matern, exponent: 1.1, length: 0.354}}
      points:
        32: {generation.grid: {shape: [32, 32]}}
        64: {generation.grid: {shape: [64, 64]}}

Every axis has variants by name, every variant values by key, as they are set on the command line.
The family has one member for each combination, "white, 32" to "bessel, 64" here, by the order of
axes and variants. Members that share a section share its result, since a result goes by the name
of its whole lineage: here there are two trainings, and one simulation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any

from pushforward.mistakes import unknown
from pushforward.study import Study, override, page

KEY = "variants"


def family(
    source: str | Path, overrides: Sequence[str] = (), chosen: Sequence[str] = ()
) -> dict[str, Study]:
    """The studies of a page by the names of their variants; a page without any is the study "".

    `overrides` ("a.b=c") change every member. `chosen` are names of variants, or of members of the
    family: only those that have one of them on every axis that is named stay.

    Raises FileNotFoundError for a page that is not there, ValueError for what is wrong in it.

    >>> list(family("smoke"))
    ['']
    """
    axes = axes_of(page(source), str(source))
    picked = _picked(axes, chosen, str(source))
    studies: dict[str, Study] = {}
    for names in product(*picked.values()):
        changes = [axes[axis][name] for axis, name in zip(picked, names, strict=True)]
        studies[", ".join(names)] = _member(source, changes, overrides, ", ".join(names))
    return studies


def cover(studies: Mapping[str, Study]) -> dict[str, Study]:
    """Members of a family in which every variant occurs: as many as its longest axis has.

    >>> list(cover({"white, 32": 0, "white, 64": 0, "bessel, 32": 0, "bessel, 64": 0}))
    ['white, 32', 'bessel, 64']
    """
    axes = [
        list(dict.fromkeys(axis)) for axis in zip(*(n.split(", ") for n in studies), strict=True)
    ]
    chosen = [", ".join(axis[i % len(axis)] for axis in axes) for i in range(max(map(len, axes)))]
    return {name: studies[name] for name in chosen}


def axes_of(values: Mapping[str, Any], source: str) -> dict[str, dict[str, dict[str, Any]]]:
    """What a page says of its variants: axis, variant, and value by key.

    Raises ValueError for anything else.

    >>> axes_of({"variants": {"points": {32: {"generation.members": 8}}}}, "mine.yaml")
    {'points': {'32': {'generation.members': 8}}}
    """
    axes = values.get(KEY) or {}
    shape = "axis: {variant: {section.key: value}}"
    if not isinstance(axes, Mapping):
        raise ValueError(f"{source}: {KEY}: expected {shape}, got {axes!r:.60}; write it so")
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for axis, variants in axes.items():
        whole = isinstance(variants, Mapping) and variants
        if not whole or not all(isinstance(one, Mapping) for one in variants.values()):
            raise ValueError(
                f"{source}: {KEY}.{axis}: expected {shape}, got {variants!r:.60}; write it so"
            )
        found[str(axis)] = {
            str(name): {str(key): value for key, value in one.items()}
            for name, one in variants.items()
        }
    names = [name for variants in found.values() for name in variants]
    for name in names:
        if names.count(name) > 1 or "," in name:
            raise ValueError(
                f"{source}: {KEY}: expected names that stand once and have no comma, got {name}; "
                "rename one"
            )
    return found


def _picked(
    axes: Mapping[str, Mapping[str, Any]], chosen: Sequence[str], source: str
) -> dict[str, list[str]]:
    """The variants of every axis that are asked for: all where none is named."""
    asked = [name.strip() for one in chosen for name in one.split(",")]
    known = [name for variants in axes.values() for name in variants]
    if asked and not known:
        raise ValueError(
            f"{source}: expected a page with variants, got one without, and {', '.join(asked)} to "
            "choose; leave the choice out"
        )
    for name in asked:
        if name not in known:
            raise ValueError(f"{source}: {KEY}: {unknown(name, known)}")
    picked = {}
    for axis, variants in axes.items():
        own = [name for name in variants if name in asked]
        picked[axis] = own or list(variants)
    return picked


def _member(
    source: str | Path, changes: Sequence[Mapping[str, Any]], overrides: Sequence[str], name: str
) -> Study:
    """The study of one combination; what is wrong with it is told with its name."""
    values = page(source)
    for change in changes:
        for key, value in change.items():
            try:
                override(values, key, deepcopy(value))  # a later axis may write into it
            except ValueError as error:
                raise ValueError(f"{source}: {KEY}: {name}: {error}; name another key") from None
    try:
        study = Study.of(values, overrides, source)
    except ValueError as error:
        raise ValueError(f"{name}: {error}" if name else str(error)) from None
    return study.model_copy(update={"title": f"{study.title}: {name}"}) if name else study
