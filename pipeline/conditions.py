"""What is asked of results: a name, how it compares, and a value, as words or as values.

    viscosity < 1e-3        numbers: <, <=, >, >=
    equation = gray_scott   the same value: = or ==; of a list of two numbers, lying between them
    preset != gud           it has one, and that is another

A name is that of a field of the spec, or the end of a dotted path to it, or `resolution`, the
fewest points an axis of the result's grid; else a score of an evaluation, over its floor (see
`entries`). Values are read as YAML; nothing that is asked is ever run.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pushforward.study import value_of

ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
WORDS = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(<=|>=|==|!=|=|<|>)\s*([^\s=<>].*?)\s*", re.DOTALL)


@dataclass(frozen=True)
class Condition:
    """A name, one of the signs < <= > >= = !=, and a value; a pair of numbers is a range.

    >>> Condition("viscosity", "=", (0, 0.01)).holds([1e-3])
    True
    """

    key: str
    sign: str
    value: Any

    def holds(self, facts: Sequence[Any]) -> bool:
        """Whether it is true of one of the facts of that name; never of none.

        >>> condition = parse("preset != gud")
        >>> condition.holds(["ddo"]), condition.holds(["gud"]), condition.holds([])
        (True, False, False)
        """
        if self.sign == "!=":
            return bool(facts) and not any(_equal(fact, self.value) for fact in facts)
        if self.sign == "=":
            return any(_equal(fact, self.value) for fact in facts)
        return any(_number(fact) and ORDER[self.sign](fact, self.value) for fact in facts)


def parse(text: str) -> Condition:
    """The condition that words say; ValueError for words that say none.

    >>> parse("viscosity < 1e-3")
    Condition(key='viscosity', sign='<', value=0.001)
    >>> parse("viscosity = [0, 1e-3]").value
    (0, 0.001)
    >>> parse("equation < navier_stokes")
    Traceback (most recent call last):
    ValueError: expected a number after equation <, got 'navier_stokes'; compare names by = or !=
    """
    found = WORDS.fullmatch(text)
    if found is None:
        raise ValueError(
            f"expected key=value or another of <, <=, >, >=, != between them, got {text!r}; name "
            "a key and a value"
        )
    key, sign, words = found.groups()
    value = value_of(words)
    if sign in ORDER and not _number(value):
        raise ValueError(
            f"expected a number after {key} {sign}, got {words!r}; compare names by = or !="
        )
    value = tuple(value) if isinstance(value, list) else value
    return Condition(key, "=" if sign == "==" else sign, value)


def conditions(words: Iterable[str | Condition], where: Mapping[str, Any]) -> list[Condition]:
    """All that is asked, in words and as values by name.

    >>> [one.sign for one in conditions(["members >= 64"], {"equation": "kdv"})]
    ['>=', '=']
    """
    said = [parse(one) if isinstance(one, str) else one for one in words]
    return [*said, *(Condition(key, "=", value) for key, value in where.items())]


def _equal(fact: Any, value: Any) -> bool:
    """Whether a fact is a value, or lies in a pair of numbers."""
    if isinstance(value, (list, tuple)):
        if len(value) == 2 and _number(fact) and all(map(_number, value)):
            return bool(value[0] <= fact <= value[1])
        return isinstance(fact, list) and list(value) == fact
    return bool(fact == value) or str(fact) == str(value)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
