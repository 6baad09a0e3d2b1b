"""A certificate as people read it: rows for the terminal, a section of the report.

One row per cause: what was refined, the largest error with its time and channel, the mean over
members there, and whether it is within the limit, in words.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from pushforward import certificate, page
from pushforward.certificate import Certificate
from pushforward.effort import Effort

if TYPE_CHECKING:
    from pushforward.archive import Archive
    from pushforward.spec import Simulation


def rows(found: Certificate) -> list[dict[str, str]]:
    """One mapping from column to text per cause.

    >>> from pushforward.certificate import Difference
    >>> one = Difference(change="0.1 -> 0.05", remedy="", largest=((2e-3,),), mean=((1e-3,),))
    >>> rows(Certificate(limit=1e-3, members=2, times=(1,), channels=("u",), tail=0,
    ...     errors={"time step": one}, seconds=1))[0]["within the limit"]
    'no, from t=1 on'
    """
    table = []
    for cause, difference in found.errors.items():
        places = list(found.place(cause))
        worst = max(places, key=lambda place: place.error)
        since = next((one.time for one in places if one.error > found.limit), None)
        table.append(
            {
                "refined": cause,
                "change": difference.change,
                "largest error": f"{worst.error:.2g}",
                "mean there": f"{worst.mean:.2g}",
                "at": f"t={worst.time:g}, {worst.channel}",
                "within the limit": "yes" if since is None else f"no, from t={since:g} on",
            }
        )
    return table


def section(simulation: Simulation, archive: Archive) -> list[str]:
    """The report's part on the solver: what it did, and what its certificate says."""
    found = certificate.read(archive.folder(simulation))
    effort = Effort.read(archive.manifest(simulation)["blocks"])
    told = [str(effort), effort.warning] if effort is not None else []
    parts = [page.facts([("solver", told[0] if told else ""), ("warning", "".join(told[1:]))])]
    if found is None:
        return [page.paragraph(f"Certificate: {certificate.NONE}."), *parts]
    table = rows(found)
    cells = [[escape(text) for text in row.values()] for row in table]
    note = (
        f"Relative L2 errors of {found.members} members, largest over members and times. Each row "
        "compares two solutions, of which one has been refined; the reference refines everything."
    )
    return [
        page.paragraph(f"Certificate: {found.verdict}."),
        page.table(list(table[0]), cells),
        page.paragraph(note, "note"),
        *parts,
    ]
