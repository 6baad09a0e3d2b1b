"""A row: one experiment of a paper, the pages that make it, what is measured and what follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pushforward import Archive, Study

Family = Mapping[str, Study]
Word = Literal["confirmed", "not confirmed", "beyond the budget"]


class Table(NamedTuple):
    """A table of a row: what it shows, its columns, and its lines."""

    about: str
    head: Sequence[str]
    lines: Sequence[Sequence[str]]


class Verdict(NamedTuple):
    """Whether a paper's claim was met with, in a word and a line."""

    word: Word
    why: str


@dataclass(frozen=True)
class Row:
    """An experiment of a paper, made again by the studies of some pages of `catalogs/seeds`.

    `claim` is the paper's, in our words, `published` its numbers or that there are none to be had;
    `measure` turns an archive and the families of the pages into JSON values, `verdict` and
    `tables` read these. `subset` are overrides for files of which a part is there. `gpu` marks
    what deserves more than a processor.
    """

    name: str
    paper: str
    title: str
    pages: tuple[str, ...]
    claim: str
    published: str
    measure: Callable[[Archive, dict[str, Family]], dict[str, Any]]
    verdict: Callable[[dict[str, Any]], Verdict]
    tables: Callable[[dict[str, Any]], list[Table]]
    subset: tuple[str, ...] = ()
    gpu: bool = False
    note: str = ""
