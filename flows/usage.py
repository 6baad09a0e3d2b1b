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


def loaded(source: str, overrides: Sequence[str] = (), *, smoke: bool = False) -> Study:
    """A study with its overrides, shrunk if asked; whatever is wrong in it is a UsageError."""
    from pushforward.study import Study

    try:
        study = Study.load(source, overrides)
        return study.smoke() if smoke else study
    except (ValueError, LookupError, OSError) as mistake:
        raise UsageError(str(mistake)) from mistake
