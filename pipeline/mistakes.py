"""One sentence for what is wrong in a study: where, what was expected, what came, what to do.

Pydantic reports every mistake of a document as a list of records with a location. A person wants
one line with the dotted path that they wrote, so the first record is chosen (a misspelt key before
the gap that it leaves behind), the location is stripped of what pydantic adds to it (the tag of a
union), and a misspelt key or choice is answered with the nearest right one, found by the
Ratcliff-Obershelp similarity of `difflib`.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError

UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
TAG = ("union_tag_invalid", "union_tag_not_found")


def sentence(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """The first mistake of a pydantic error as one sentence; `prefix` is put before its path.

    >>> class Box(BaseModel, extra="forbid"):
    ...     width: int
    >>> try:
    ...     Box.model_validate({"widht": 3})
    ... except ValidationError as error:
    ...     print(sentence(error, Box, "box"))
    box.widht: expected one of width, got widht; did you mean width?
    """
    record = min(_meant(error.errors()), key=lambda record: record["type"] not in UNKNOWN)
    kind, context, given = record["type"], record.get("ctx", {}), record["input"]
    path, parent, classes = _walk(model, record["loc"])
    if kind in TAG:
        path = [*path, "kind"]
    where = ".".join(filter(None, (prefix, *path)))
    if kind in UNKNOWN:
        text = unknown(path[-1], _fields(parent))
    elif kind == "missing":
        text = "expected a value, got none; add it"
    elif kind in TAG:
        text = unknown(str(context.get("tag", "none")), [k for cls in classes for k in kinds(cls)])
    elif kind == "literal_error":
        choices = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        text = unknown(str(given), choices)
    elif kind in ("value_error", "assertion_error"):
        text = str(context.get("error", record["msg"]))
    else:
        expected = record["msg"].removeprefix("Input should be ").split(", unable to")[0]
        text = f"expected {expected}, got {given!r:.60}; correct it"
    return f"{where}: {text}" if where else text


def unknown(got: str, expected: Iterable[str]) -> str:
    """What to say of a name that is none of the expected ones.

    >>> unknown("viscocity", ["drag", "viscosity"])
    'expected one of drag, viscosity, got viscocity; did you mean viscosity?'
    """
    names = sorted(expected)
    near = get_close_matches(got, names, n=1, cutoff=0.6)
    remedy = f"did you mean {near[0]}?" if near else "remove it or choose one of these"
    return f"expected one of {', '.join(names)}, got {got}; {remedy}"


def _meant(records: list[Any]) -> list[Any]:
    """What is wrong with the class whose kind it is, where several were tried; else all of it."""
    others = {
        tuple(record["loc"][:-1])
        for record in records
        if record["type"] == "literal_error" and record["loc"][-1:] == ("kind",)
    }
    return [r for r in records if not any(r["loc"][: len(o)] == o for o in others)] or records


def _walk(model: Any, location: Sequence[int | str]) -> tuple[list[str], Any, list[Any]]:
    """The path as a person writes it, the class that holds its last key, the classes there."""
    path: list[str] = []
    here, parent = [model], model
    for item in location:
        named = [one for one in here if str(item) in _fields(one)]
        tagged = [one for one in here if item in kinds(one) or item == _name(one)]
        if named:
            parent = named[0]
            here = _classes(_hints(parent)[str(item)])
            path.append(str(item))
        elif tagged:
            here = tagged
        elif isinstance(item, int):  # of a tuple: one of what it holds
            here = [cls for one in here for part in get_args(one) for cls in _classes(part)]
            path.append(str(item))
        else:
            parent = here[0] if here else None
            path.append(str(item))
            here = []
    return path, parent, here


def _fields(cls: Any) -> list[str]:
    if isinstance(cls, type) and issubclass(cls, BaseModel):
        return list(cls.model_fields)
    if is_dataclass(cls):
        return [field.name for field in fields(cls)]
    return []


def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


def kinds(cls: Any) -> list[str]:
    """The values of `kind` that a dataclass is chosen by.

    >>> from pushforward.solvers import NavierStokes
    >>> kinds(NavierStokes), kinds(int)
    (['navier_stokes'], [])
    """
    return [str(kind) for kind in get_args(_hints(cls).get("kind"))] if is_dataclass(cls) else []


def _name(cls: Any) -> str:
    return getattr(cls, "__name__", "")


def _classes(hint: Any) -> list[Any]:
    """The classes that a type hint allows."""
    if get_origin(hint) is Annotated:
        return _classes(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return [cls for part in get_args(hint) for cls in _classes(part)]
    return [hint]
