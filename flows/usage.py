"""What is a mistake in the command itself, before anything was started: exit code 2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pushforward.credentials import hidden

if TYPE_CHECKING:
    from pushforward.study import Study


class UsageError(Exception):
    """The command or the study is wrong: nothing was started."""


def sentence(mistake: Exception) -> str:
    """A mistake as one line, without passwords.

    >>> sentence(KeyError("expected s3://bucket, got\\ns3://key:secret@bucket"))
    'expected s3://bucket, got s3://***@bucket'
    """
    text = str(mistake.args[0] if isinstance(mistake, KeyError) and mistake.args else mistake)
    return hidden(" ".join(text.split()))


def loaded(
    source: str,
    overrides: Sequence[str] = (),
    *,
    smoke: bool = False,
    variant: Sequence[str] = (),
) -> Study:
    """A study with its overrides, shrunk if asked; whatever is wrong in it is a UsageError, and a
    page of several is."""
    studies = loaded_all(source, overrides, smoke=smoke, variant=variant)
    if len(studies) > 1:
        raise UsageError(
            f"{source}: expected one study, got {len(studies)} variants; choose one by --variant: "
            + "; ".join(studies)
        )
    return next(iter(studies.values()))


def loaded_all(
    source: str,
    overrides: Sequence[str] = (),
    *,
    smoke: bool = False,
    variant: Sequence[str] = (),
) -> dict[str, Study]:
    """The studies of a page by their variants (see `pushforward.variants`), as `loaded` does.

    Shrunk, only so many that every variant occurs.
    """
    from pushforward.variants import cover, family

    try:
        studies = family(source, overrides, variant)
        # each variant once is enough to see whether a page holds together
        return {n: s.smoke() for n, s in cover(studies).items()} if smoke else studies
    except (ValueError, LookupError, OSError) as mistake:
        raise UsageError(str(mistake)) from mistake
