"""The report's table: every score in words and numbers beside the solver's own floor.

Scores stand in families, each under a sentence on what it sees. Whether a score is inside its
floor is said in words, and drawn as a place on a line, never by colour alone. Numbers carry the
digits that their errors leave.
"""

from __future__ import annotations

import math
from html import escape

import xarray as xr

from pushforward import page
from pushforward.multiplicity import LEVEL
from pushforward.score_families import grouped
from pushforward.strokes import SUPERSCRIPT
from pushforward.verdicts import SIGNED, SMALL_IS_BAD


def score_table(scores: xr.Dataset) -> list[str]:
    """The table: per score both ensembles, in words and numbers, beside the solver's floor."""
    several = scores.sizes["variable"] > 1
    head = [
        "Score",
        "Trained",
        "Gaussian",
        "Solver v solver<small>mean, 95% limit</small>",
        '<th class="aside">Share of the limit'
        "<small>● trained, □ Gaussian; shaded: inside</small></th>",
    ]
    rows = []
    for family, names in grouped(map(str, scores.score.values)):
        own = _rows(scores, names, several)
        if own:
            title = f"<b>{escape(family.title)}</b><small>{escape(family.sees)}</small>"
            rows += [[f'<td class="family" colspan="{len(head)}">{title}</td>'], *own]
    notes = (
        "A number with × is the value over the floor: the mean of the same score between two "
        "disjoint sets of solver members of the same size. Inside means not above the 95% "
        "quantile of that floor; far outside: also farther than the farthest of all scores in "
        f"{1 - LEVEL:.1%} of permutations (single-step max-T of Westfall and Young, which allows "
        "for the number of scores and for what they share). p is the share of permutations at "
        "least as far apart: two sets drawn from the ensemble and all solver members together. ± "
        "is one bootstrap standard error, z the distance from the floor's mean in its deviations. "
        "A floor knows only the extremes that the solver's members hold: where a few members far "
        "surpass the others its limit is too near, and p alone can be believed; what so few "
        "members have that shuffling often puts them on one side, p cannot refuse. Unbiased "
        "scores "
        "scatter around 0 and have no ratio. The "
        "nearest-neighbour ratio is the mean distance to the nearest training member over that "
        "of unseen solver members: 1 for fresh fields, towards 0 for copies; geometric, "
        "no distance counts beyond the solver's median, and a copy that members too far away make "
        "up for in the mean is orders of magnitude. "
        "Their limits are the floor's 5% quantiles, from below."
    )
    if "pairs" in scores.attrs and scores.attrs["pairs"] < scores.attrs["members"]:
        notes += (
            f" Scores of pairs and of nearest neighbours are of {scores.attrs['pairs']} members a "
            "side, all others of all."
        )
    return [page.table(head, rows, "scores"), page.paragraph(notes, "note")]


def _rows(scores: xr.Dataset, names: list[str], several: bool) -> list[list[str]]:
    """The rows of some scores: of each variable that has them."""
    rows = []
    for variable in scores.variable.values:
        for name in names:
            cell = scores.sel(variable=variable, score=name)
            if bool(cell.value.isnull().all()):
                continue
            unit = f" [{cell.unit.item()}]" if cell.unit.item() else ""
            label = escape(f"{cell.title.item()}{unit}")
            remark = escape(str(variable)) if several else ""
            rows.append(_row(cell, name, label, remark, scores.attrs["splits"]))
    return rows


def _row(cell: xr.Dataset, name: str, label: str, variable: str, splits: int) -> list[str]:
    first = cell.isel(ensemble=0)
    limit = first["floor_q05" if name in SMALL_IS_BAD else "floor_q95"].item()
    marks = {}
    for ensemble in map(str, cell.ensemble.values):
        value = cell.value.sel(ensemble=ensemble).item()
        share = _share(limit, value) if name in SMALL_IS_BAD else _share(value, limit)
        if not math.isnan(share):
            marks[ensemble] = share
    small = f"<small>{variable}</small>" if variable else ""
    mean = "about 0" if name in SIGNED else _number(first.floor_mean.item())
    return [
        f"{label}{small}",
        *(
            _cell(cell.sel(ensemble=ensemble), name, splits)
            for ensemble in ("trained", "gaussian")
        ),
        f"{mean}<small>{_number(limit)}</small>",
        f'<td class="aside">{strip(marks)}</td>',
    ]


def _share(value: float, limit: float) -> float:
    """A value over its limit; of a limit that is not above 0, which side of it the value is on.

    >>> _share(1.0, 2.0), _share(0.0, 0.0), _share(0.1, 0.0)
    (0.5, 0.0, inf)
    """
    if limit > 0:
        return value / limit
    return math.nan if math.isnan(value) else math.inf if value > limit else 0.0


def _cell(cell: xr.Dataset, name: str, splits: int) -> str:
    word = '<span class="in">inside</span>'
    if not bool(cell.inside):
        far_out = "p_family" in cell and cell.p_family.item() <= LEVEL
        word = "<b>far outside</b>" if far_out else "<b>outside</b>"
    times, p = cell.ratio.item(), cell.p.item()
    value, error = cell.value.item(), cell.standard_error.item()
    both = _with_error(value, error)
    if name in SIGNED or name in SMALL_IS_BAD or not math.isfinite(times):
        lead, _, error_text = both.partition(" ± ")
        facts = [f"± {error_text}"] if error > 0 else []
    else:
        lead, facts = f"{_number(times, 2)}×", [both]
    sign = "≤" if p <= 1 / (1 + splits) else "="  # fewer splits cannot say less
    z = cell["z"].item() if "z" in cell else math.nan
    facts += [f"z = {_number(z, 2)}"] if math.isfinite(z) else []
    facts.append(f"p {sign} {_number(p, 2)}")
    small = " ".join(f"<span>{fact}</span>" for fact in facts)
    return f'<td class="word">{lead} {word}<small>{small}</small></td>'


def _with_error(value: float, error: float) -> str:
    """A value to the second digit of its error.

    >>> _with_error(0.014212, 0.01537), _with_error(3.5318, 0.163), _with_error(1.1e-4, 2e-4)
    ('0.014 ± 0.015', '3.53 ± 0.16', '1.1·10⁻⁴ ± 2.0·10⁻⁴')
    """
    if not (error > 0 and abs(value) >= 1e-3):
        known = error > 0 and value != 0 and math.isfinite(value)
        places = _order(value) - _order(error) + 2 if known else 3
        return f"{_number(value, min(max(places, 1), 3))} ± {_number(error, 2)}"
    places = max(0, 1 - _order(error))
    return f"{value:.{places}f} ± {error:.{places}f}".replace("-", "−")


def _number(value: float, digits: int = 3) -> str:
    """A number in few digits, with a real minus and powers of ten as people write them.

    >>> _number(-0.000123), _number(0.0123456), _number(12345.6)
    ('−1.23·10⁻⁴', '0.0123', '12300')
    """
    if not math.isfinite(value):
        return "n/a"
    if value == 0:
        return "0"
    if abs(value) < 1e-3:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        text = f"{mantissa}·10{str(int(exponent)).translate(SUPERSCRIPT)}"
    else:
        places = digits - 1 - _order(value)
        text = f"{round(value, places):.{max(places, 0)}f}"
    return text.replace("-", "−")


def _order(value: float) -> int:
    """The power of ten of the first digit."""
    return math.floor(math.log10(abs(value)))


def strip(marks: dict[str, float], limits: tuple[float, float] = (0.1, 40.0)) -> str:
    """A tiny logarithmic axis: every ensemble's value over the floor's limit, 1."""
    low, high = limits

    def at(value: float) -> float:
        return 6 + 148 * math.log(min(max(value, low), high) / low) / math.log(high / low)

    one = at(1.0)
    parts = [
        f'<rect x="2" y="2" width="{one - 2:.1f}" height="20" class="allowed"/>',
        f'<line x1="{one:.1f}" x2="{one:.1f}" y1="2" y2="22" class="limit"/>',
    ]
    shapes = {
        "gaussian": '<rect x="{0:.1f}" y="8" width="8" height="8" class="gaussian"/>',
        "trained": '<circle cx="{0:.1f}" cy="12" r="4.6" class="trained"/>',
    }
    for name, shape in shapes.items():
        if name in marks:
            x = at(max(marks[name], low)) - (4 if name == "gaussian" else 0)
            parts.append(shape.format(x))
    words = ", ".join(
        f"{name} {value:.2g}" if math.isfinite(value) else f"{name} far beyond"
        for name, value in marks.items()
    )
    return (
        f'<svg class="strip" viewBox="0 0 160 24" role="img" aria-label="{words} of the limit">'
        + "".join(parts)
        + "</svg>"
    )
