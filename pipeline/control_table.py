"""The report's part on controls: what the scores say of copies that are wrong on purpose.

A row for every wrong copy, with all scores that refuse it, in words; the right one first, and the
Gaussian surrogate, which is scored in full, last.
"""

from __future__ import annotations

from html import escape

import xarray as xr

from pushforward import controls, page, summary

GAUSSIAN = ("Gaussian surrogate", "this surrogate without its network, as in the table of scores")


def section(found: xr.Dataset | None, scores: xr.Dataset) -> list[str]:
    """The sentences and the table; a sentence alone where there are no controls."""
    if found is None:
        words = "There are no controls: too few solver members, or scores of an earlier version."
        return [page.paragraph(words)]
    refused = controls.refusals(found)
    titles = dict(zip(map(str, scores.score.values), map(str, scores.title.values), strict=True))
    titles |= dict(zip(map(str, found.score.values), map(str, found.title.values), strict=True))
    several = found.sizes["variable"] > 1
    total = int(found.value.isel(ensemble=0).notnull().sum())
    lines = [(controls.RIGHT, "nothing is wrong", refused.pop(controls.RIGHT), total)]
    for name, cells in sorted(refused.items(), key=lambda item: -len(item[1])):
        lines.append((name, controls.WRONG.get(name, ""), cells, total))
    if "gaussian" in scores.ensemble.values:
        cells = controls.refusals(scores.sel(ensemble=["gaussian"]))["gaussian"]
        lines.append((*GAUSSIAN, cells, summary.count(scores, "gaussian")))
    rows = [
        [
            f"{escape(name[0].upper() + name[1:])}<small>{escape(words)}</small>",
            f'<td class="word">{_count(len(cells), of)}</td>',
            escape(_listed(cells, titles, several)),
        ]
        for name, words, cells, of in lines
    ]
    return [
        page.paragraph(_summary(refused, lines[0][2], total)),
        page.table(["Copy", "Outside", "In which scores"], rows, "controls"),
        page.paragraph(_note(found, refused, titles), "note"),
    ]


def _count(number: int, total: int) -> str:
    text = f"{number} of {total}"
    return f"<b>{text}</b>" if number else text


def _summary(
    refused: dict[str, list[tuple[str, str]]], right: list[tuple[str, str]], total: int
) -> str:
    """What the controls say together."""
    counts = [len(cells) for cells in refused.values()]
    passed = [name for name, cells in refused.items() if not cells]
    if passed:
        head = f"Not refused by any score on these data: {', '.join(passed)}"
    else:
        head = (
            f"Each of the {len(refused)} copies that are wrong on purpose is refused, by "
            f"{min(counts)} to {max(counts)} of {total} scores"
        )
    return f"{head}. Another set of solver members is outside in {len(right)}."


def _listed(cells: list[tuple[str, str]], titles: dict[str, str], several: bool) -> str:
    """The scores of cells by name, each with its variables where there are several."""
    names: dict[str, list[str]] = {}
    for variable, score in cells:
        names.setdefault(titles.get(score, score), []).append(variable)
    if not several:
        return "; ".join(names) or "none"
    return "; ".join(f"{name} ({', '.join(where)})" for name, where in names.items()) or "none"


def _note(
    found: xr.Dataset, refused: dict[str, list[tuple[str, str]]], titles: dict[str, str]
) -> str:
    """How the controls were made, and which scores refuse none of them."""
    has = found.value.notnull().any(["ensemble", "variable"])
    seeing = {score for cells in refused.values() for _, score in cells}
    idle = [str(s) for s in found.score.values[has.values] if s not in seeing]
    members, pool = found.attrs["members"], found.attrs["pool"]
    text = (
        f"{members} members a side, floors from {found.attrs['splits']} splits of {pool} others; "
        "the members that are spoilt stand on neither side. A set is outside a score as in the "
        f"table above, one by one: of {found.sizes['score']} scores some are so by chance."
    )
    if idle:
        text += f" No control is refused by: {'; '.join(titles[s] for s in idle)}."
    return text
