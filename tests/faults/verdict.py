"""What is said of one injection: was anything lost, and was the user told in one sentence?

unharmed    the command went on to its end, through the fault
resumed     it was cut off without a word, and the same command left the bits of a clean run
refused     it said one sentence, and after the remedy the same command left these bits
mended      `verify` found the damage, and `verify --repair` made the bits of a clean run
failed      anything else: other bits, a sealed result that `verify` rejects, a traceback
missed      the fault hit nothing that was at work: it is injected again
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pushforward.archive import Archive
from pushforward.lineage import Spec
from tests.faults.commands import End
from tests.faults.subject import contents

UNHARMED, RESUMED, REFUSED, MENDED = "unharmed", "resumed", "refused", "mended"
FAILED, MISSED = "failed", "missed"
GOOD = (UNHARMED, RESUMED, REFUSED, MENDED)


@dataclass(frozen=True)
class Injection:
    """One injection: its verb and outcome, what was said, seconds to recover, why it failed.

    >>> Injection("train", MISSED).why
    ''
    """

    verb: str
    outcome: str
    sentence: str = ""
    seconds: float = 0.0
    why: str = ""


def rejected(archive: Archive) -> list[str]:
    """The sealed results that `verify` rejects, with what it says of them."""
    found = []
    for path in sorted(archive.root.glob("*/manifest.json")):
        faults = archive.verify(path.parent.name)
        if faults:
            found.append(f"{path.parent.name}: {', '.join(faults)}")
    return found


def differences(archive: Archive, clean: Archive, spec: Spec) -> list[str]:
    """In what a result is not the clean one: not sealed, rejected by `verify`, or other bytes."""
    if not archive.sealed(spec):
        return [f"{spec.name} is not sealed"]
    found = rejected(archive)
    mine, theirs = contents(archive, spec), contents(clean, spec)
    different = sorted(k for k in {*mine, *theirs} if mine.get(k) != theirs.get(k))
    return found + [f"other bytes in {name}" for name in different]


def complaint(end: End) -> str:
    """What is wrong with how a command ended that was not killed; nothing where it is in order."""
    if end.traceback:
        return f"a traceback: {end.traceback}"
    if end.code > 0 and len(end.sentences) != 1:
        return f"expected one sentence, got {len(end.sentences)}: {end.said[-300:]!r}"
    if any("; " not in sentence for sentence in end.sentences):
        return f"expected a remedy in the sentence, got none: {end.sentences}"
    return ""


def shortened(text: str, archive: Archive) -> str:
    """A text that names the archive's place in one word."""
    return text.replace(str(archive.root), "ARCHIVE")


def settle(
    verb: str,
    spec: Spec,
    archive: Archive,
    clean: Archive,
    ends: Sequence[End],
    again: Callable[[], End],
    remedy: Callable[[], object] | None = None,
) -> Injection:
    """The verdict on commands that ended under a fault.

    It looks at what is sealed, applies the remedy, runs the command again, and compares with the
    clean archive. The time to recover is that of the command run again.
    """
    said = [shortened(text, archive) for end in ends for text in end.sentences]
    sentence = said[0] if said else ""
    wrong = [text for end in ends if (text := complaint(end))]
    wrong += [f"sealed, and rejected: {text}" for text in rejected(archive)]
    if remedy is not None:
        remedy()
    last = again()
    if last.code != 0:
        wrong.append(f"the same command ended with {last.code}: {last.said[-300:]!r}")
    wrong += differences(archive, clean, spec)
    if wrong:
        why = shortened("; ".join(wrong), archive)
        return Injection(verb, FAILED, sentence, last.seconds, why)
    whole = all(end.code == 0 for end in ends)
    outcome = UNHARMED if whole else REFUSED if said else RESUMED
    return Injection(verb, outcome, sentence, last.seconds)
