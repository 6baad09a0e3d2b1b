"""The report's part on controls: what the scores say of copies that are wrong on purpose.

A row for every wrong copy: whether it is told from the solver, by the same rule as the ensemble
itself, and all scores that it is outside in; the right one first, and the Gaussian surrogate,
which is scored in full, last.
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
    lines = [(controls.RIGHT, "nothing is wrong", found, refused.pop(controls.RIGHT))]
    for name, cells in sorted(refused.items(), key=lambda item: -len(item[1])):
        lines.append((name, controls.WRONG.get(name, ""), found, cells))
    if "gaussian" in scores.ensemble.values:
        cells = controls.refusals(scores.sel(ensemble=["gaussian"]))["gaussian"]
        lines.append((*GAUSSIAN, scores, cells))
    rows = [
        [
            f"{escape(name[0].upper() + name[1:])}<small>{escape(words)}</small>",
            f'<td class="word">{_word(of, name)}</td>',
            f'<td class="word">{len(cells)} of {_total(of)}</td>',
            escape(_listed(cells, titles, several)),
        ]
        for name, words, of, cells in lines
    ]
    return [
        page.paragraph(_summary(found, list(refused))),
        page.table(
            ["Copy", "Told from the solver?", "Outside", "In which scores"], rows, "controls"
        ),
        page.paragraph(_note(found, refused, titles), "note"),
    ]


def _word(scores: xr.Dataset, name: str) -> str:
    own = "gaussian" if name == GAUSSIAN[0] else name
    word = summary.state(scores, own)
    return f"<b>{word}</b>" if word == "told" else word


def _total(scores: xr.Dataset) -> int:
    return int(scores.value.isel(ensemble=0).notnull().sum())


def _summary(found: xr.Dataset, wrong: list[str]) -> str:
    """What the controls say together."""
    states = {name: summary.state(found, name) for name in (*wrong, controls.RIGHT)}
    missed = [f"{name} ({states[name]})" for name in wrong if states[name] != "told"]
    if summary.too_few(found):
        return f"So few splits as {found.attrs['splits']} cannot tell any copy from the solver."
    head = (
        f"Not told from the solver on these data: {', '.join(missed)}"
        if missed
        else f"Each of the {len(wrong)} copies that are wrong on purpose is told from the solver"
    )
    return f"{head}. Another set of solver members is {states[controls.RIGHT]}."


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
