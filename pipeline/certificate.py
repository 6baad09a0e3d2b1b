r"""A certificate: by how much a data set changes when its solver does better.

A pilot of a few members is solved as specified and again with one thing refined at a time. The
difference of two solutions u and v at one time, in one channel, is

    |u - v| / max(|u|, |v|),    |.| the norm of L^2,

so that the time step, the grid and the precision each have an error of their own, and the error
against a reference in which all three are refined is the data's. It is converged when none of
these is above the limit, for any member at any time. Chaos makes errors grow with time: what a
certificate says, it says of the times that it lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

from pydantic import Field, ValidationError, field_validator

from pushforward import files, places
from pushforward.lineage import Value

FILE = "certificate.json"
NONE = "none: run pushforward check"
REFERENCE = "reference"
CAUSES = ("time step", "grid", "precision", REFERENCE)


class Difference(Value):
    """What one refinement changes: errors (time, channel), largest and mean over the members.

    `change` says what was refined, `remedy` which setting makes the difference smaller.
    """

    change: str
    remedy: str
    largest: tuple[tuple[float, ...], ...]
    mean: tuple[tuple[float, ...], ...]


class Place(NamedTuple):
    """Where a difference is largest: its cause, size, mean over members, time and channel."""

    cause: str
    error: float
    mean: float
    time: float
    channel: str


class Certificate(Value):
    """The errors of a pilot of `members` members by cause, and whether all are within `limit`.

    `errors` has a `Difference` for each of `CAUSES` that applies; `tail` is the largest share of
    the rms in the last resolved waves. `made` says when, where and by what code.

    >>> small = Difference(change="1 -> 0.5", remedy="", largest=((0, 2e-4),), mean=((0, 1e-4),))
    >>> certificate = Certificate(limit=1e-3, members=2, times=(1,), channels=("u", "v"), tail=0,
    ...     errors={"time step": small}, seconds=1)
    >>> certificate.converged, certificate.worst.channel
    (True, 'v')
    >>> print(certificate.verdict)
    converged: relative L2 error 0.0002, limit 0.001 (2 members, t up to 1)
    """

    limit: Annotated[float, Field(gt=0)]
    members: Annotated[int, Field(ge=1)]
    times: tuple[float, ...]
    channels: tuple[str, ...]
    errors: dict[str, Difference]
    tail: float
    seconds: float
    made: dict[str, Any] = Field(default_factory=dict)

    @field_validator("errors")
    @classmethod
    def _in_order(cls, errors: dict[str, Difference]) -> dict[str, Difference]:
        return {cause: errors[cause] for cause in CAUSES if cause in errors}

    @property
    def converged(self) -> bool:
        """Whether no difference is above the limit."""
        return self.worst.error <= self.limit

    @property
    def worst(self) -> Place:
        """Where the largest of all differences is."""
        return max(self.places(), key=lambda place: place.error)

    @property
    def since(self) -> float | None:
        """The first time at which a difference is above the limit."""
        return next((one.time for one in self.places() if one.error > self.limit), None)

    @property
    def blame(self) -> str | None:
        """The cause with the largest difference where the limit is first passed."""
        if self.since is None:
            return None
        here = [one for one in self.places() if one.time == self.since]
        causes = [one for one in here if one.cause != REFERENCE]
        return max(causes or here, key=lambda place: place.error).cause

    @property
    def verdict(self) -> str:
        """One sentence: converged or not; if not, from when on, why, and the remedy."""
        worst = self.worst
        end = f"limit {self.limit:g} ({self.members} members, t up to {self.times[-1]:g})"
        if self.blame is None:
            return f"converged: relative L2 error {worst.error:.2g}, {end}"
        each = [
            f"{cause} {max(self.place(cause), key=lambda place: place.error).error:.2g}"
            for cause in self.errors
            if cause != REFERENCE
        ]
        return (
            f"not converged from t={self.since:g} on: relative L2 error {worst.error:.2g}, {end}; "
            f"the {self.blame} is to blame ({', '.join(each)}); {self.errors[self.blame].remedy}"
        )

    def place(self, cause: str) -> Iterator[Place]:
        """The differences of one cause, by time and channel."""
        difference = self.errors[cause]
        for time, row, means in zip(self.times, difference.largest, difference.mean, strict=True):
            for channel, error, mean in zip(self.channels, row, means, strict=True):
                yield Place(cause, error, mean, time, channel)

    def places(self) -> list[Place]:
        """All differences, in order of time."""
        found = [place for cause in self.errors for place in self.place(cause)]
        return sorted(found, key=lambda place: place.time)


def read(folder: places.Place) -> Certificate | None:
    """The certificate in a result's folder; None when there is none, or none that can be read.

    >>> read(places.place("nowhere")) is None
    True
    """
    if not files.exists(folder / FILE):
        return None
    try:
        return Certificate.model_validate(files.read_json(folder / FILE))
    except (OSError, ValidationError):  # a damaged one certifies nothing
        return None


def summary(folder: places.Place) -> dict[str, Any]:
    """What an opened data set says of its certificate, as attributes.

    >>> summary(places.place("nowhere"))
    {'certificate': 'none: run pushforward check'}
    """
    found = read(folder)
    if found is None:
        return {"certificate": NONE}
    return {
        "certificate": found.verdict,
        "certificate_error": found.worst.error,
        "certificate_limit": found.limit,
    }
