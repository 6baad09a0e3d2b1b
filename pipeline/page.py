"""The report's paper: one HTML document that needs nothing but itself.

No script, no font, no picture comes from outside. The text is set in the reader's own serif face
and the figures and tables in the sans; one column of text, with figures as small multiples that
fall below each other on a narrow screen. Colours are named once, for light and for dark; on paper
the light ones are used and nothing is cut off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root {
  --paper: #ffffff; --ink: #1b1b1b; --muted: #63676c; --faint: #e3e4e6; --wash: #f6f6f4;
  --solver: #1b1b1b; --trained: #0072b2; --gaussian: #d55e00;
  --serif: Charter, "Bitstream Charter", "Iowan Old Style", "Palatino Linotype", Georgia, serif;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #15171a; --ink: #e9e7e3; --muted: #9b9fa6; --faint: #32363c; --wash: #1d2024;
    --solver: #e9e7e3; --trained: #5fb8ee; --gaussian: #f0a030;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; color-scheme: light dark; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 17px/1.55 var(--serif); font-kerning: normal; }
main { max-width: 66rem; margin: 0 auto; padding: 3.2rem 1.4rem 4rem; }
header p, section > p { max-width: 42rem; }
.kicker { font: 600 .74rem/1.4 var(--sans); letter-spacing: .08em; text-transform: uppercase;
  color: var(--muted); margin: 0 0 .7rem; }
h1 { font-size: 2.15rem; line-height: 1.14; font-weight: 600; margin: 0 0 .6rem; max-width: 44rem;
  text-wrap: balance; }
h2 { font-size: 1.28rem; line-height: 1.3; font-weight: 600; margin: 3.1rem 0 .5rem; }
h3 { font: 600 .92rem/1.4 var(--sans); margin: 1.6rem 0 .5rem; }
p { margin: .5rem 0; hanging-punctuation: first; }
.verdict { font-size: 1.22rem; line-height: 1.45; margin: 1.5rem 0 .5rem; padding-left: 1rem;
  border-left: 3px solid var(--trained); text-wrap: pretty; }
.note { color: var(--muted); font: .84rem/1.5 var(--sans); max-width: 46rem; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.5rem; font: .86rem/1.4 var(--sans);
  margin: .8rem 0 .2rem; padding: 0; list-style: none; }
.legend svg { width: 2.1rem; height: .8rem; margin-right: .5rem; vertical-align: -.08rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr));
  gap: 1.2rem 1.6rem; align-items: start; margin: .8rem 0; }
.figures svg { width: 100%; max-width: 27rem; height: auto; display: block; overflow: visible; }
.samples { display: grid; grid-template-columns: repeat(var(--columns), 1fr); gap: .4rem; }
.samples img { width: 100%; aspect-ratio: var(--aspect); object-fit: fill; display: block;
  border-radius: 2px; }
.row { font: .86rem/1.4 var(--sans); margin: .95rem 0 .35rem; }
.row b { font-weight: 600; } .row span { color: var(--muted); }
.scale { display: flex; align-items: center; gap: .6rem; font: .8rem/1 var(--sans);
  color: var(--muted); margin: .9rem 0 0; font-variant-numeric: tabular-nums; }
.scale img { width: 11rem; height: .6rem; border-radius: 2px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font: .88rem/1.4 var(--sans); width: 100%;
  font-variant-numeric: tabular-nums lining-nums; }
th { text-align: left; font-weight: 600; vertical-align: bottom; padding: .4rem .9rem .4rem 0;
  border-bottom: 1px solid var(--ink); }
th small, td small { display: block; color: var(--muted); font-weight: 400; font-size: .78rem; }
td { vertical-align: top; padding: .48rem .9rem .48rem 0; border-bottom: 1px solid var(--faint); }
td.word b { font-weight: 600; } td.word .in { color: var(--muted); font-weight: 400; }
tr > :last-child { padding-right: 0; }
td.word small span { white-space: nowrap; margin-right: .45rem; }
td.family { padding-top: 1.3rem; border-bottom: 1px solid var(--muted); }
td.family small { font-size: .82rem; }
.scores td.word { min-width: 14.4rem; } .scores td:first-child { min-width: 8rem; }
.controls td:first-child { min-width: 10rem; } .controls td:nth-child(2) { white-space: nowrap; }
.strip { width: 10rem; height: 1.5rem; display: block; }
.strip .allowed { fill: var(--faint); } .strip .limit { stroke: var(--ink); stroke-width: 1.4; }
.strip .trained { fill: var(--trained); } .strip .gaussian { fill: none;
  stroke: var(--gaussian); stroke-width: 2; }
.facts td:first-child { white-space: nowrap; color: var(--muted); width: 1%; }
.facts td { padding-top: .28rem; padding-bottom: .28rem; overflow-wrap: anywhere; }
.wide + .wide { margin-top: 1.1rem; }
pre { font: .8rem/1.5 var(--mono); background: var(--wash); padding: .8rem 1rem;
  border-radius: 4px; overflow-x: auto; margin: .6rem 0; }
code { font: .86em var(--mono); }
details summary { cursor: pointer; font: .88rem/1.4 var(--sans); color: var(--muted); }
footer { margin-top: 3rem; padding-top: .8rem; border-top: 1px solid var(--faint); }
@media (max-width: 40rem) {
  body { font-size: 16px; } main { padding: 1.6rem 1rem 3rem; }
  h1 { font-size: 1.6rem; } .verdict { font-size: 1.08rem; } h2 { margin-top: 2.3rem; }
  .samples { grid-template-columns: repeat(3, 1fr); }
  .samples img:nth-child(n+4) { display: none; }
  .scores td.word, .scores td:first-child { min-width: 0; }
  .controls, .controls tbody, .controls tr, .controls td { display: block; }
  .controls thead { display: none; } .controls tr { border-bottom: 1px solid var(--faint); }
  .controls td { border: 0; padding: .15rem 0; } .controls td:last-child { padding-bottom: .6rem; }
  .aside { display: none; } th, td { padding-right: .6rem; }
}
@media print {
  body { font-size: 10.5pt; } main { max-width: none; padding: 0; }
  .scores td.word { min-width: 0; } .aside { display: none; }
  h2 { margin-top: 1.6rem; break-after: avoid; }
  figure, tr, .samples, .figures > *, pre { break-inside: avoid; }
  pre { white-space: pre-wrap; }
  .figures { grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); }
  details::details-content { content-visibility: visible; height: auto; }
}
"""


def document(title: str, body: str) -> str:
    """The whole page.

    >>> document("A", "<p>b</p>").startswith("<!doctype html>")
    True
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def section(heading: str, *parts: str) -> str:
    """A section under a heading; none when it has no parts.

    >>> section("Samples", "", "")
    ''
    """
    kept = [part for part in parts if part]
    if not kept:
        return ""
    return f"<section>\n<h2>{escape(heading)}</h2>\n" + "\n".join(kept) + "\n</section>"


def paragraph(text: str, style: str = "") -> str:
    """A paragraph of plain text.

    >>> paragraph("1 < 2", "note")
    '<p class="note">1 &lt; 2</p>'
    """
    attribute = f' class="{style}"' if style else ""
    return f"<p{attribute}>{escape(text)}</p>"


def figures(drawings: Iterable[str]) -> str:
    """Small multiples beside each other."""
    cells = "\n".join(f"<div>{drawing}</div>" for drawing in drawings)
    return f'<div class="figures">\n{cells}\n</div>'


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """How the ensembles (name, words) are drawn in every line figure."""
    dashes = {"gaussian": ' stroke-dasharray="7 4"'}
    widths = {"solver": 3.6}
    items = [
        f'<li><svg viewBox="0 0 34 12" aria-hidden="true"><line x1="1" x2="33" y1="6" y2="6" '
        f'stroke="var(--{name})" stroke-width="{widths.get(name, 2.4)}"{dashes.get(name, "")}/>'
        f"</svg>{escape(words)}</li>"
        for name, words in entries
    ]
    return f'<ul class="legend">{"".join(items)}</ul>'


def pictures(urls: Sequence[str], label: str, remark: str, aspect: float) -> str:
    """A row of fields under its label."""
    cells = "".join(
        f'<img src="{url}" alt="{escape(label)}, member {i + 1} of {len(urls)}">'
        for i, url in enumerate(urls)
    )
    size = f"--columns: {len(urls)}; --aspect: {aspect:.4g}"
    return (
        f'<p class="row"><b>{escape(label)}</b> <span>{escape(remark)}</span></p>'
        f'<div class="samples" style="{size}">{cells}</div>'
    )


def colour_scale(url: str, lowest: str, highest: str, quantity: str) -> str:
    """The colour scale between its two ends, and what it measures."""
    return (
        f'<p class="scale"><span>{escape(lowest)}</span><img src="{url}" alt="colour scale">'
        f"<span>{escape(highest)}</span><span>{escape(quantity)}</span></p>"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], style: str = "") -> str:
    """A table of cells that are HTML already; a cell may start with its own `<td ...>`."""
    top = "".join(cell if cell.startswith("<th") else f"<th>{cell}</th>" for cell in head)
    lines = "\n".join(
        "<tr>"
        + "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    heading = f"<thead><tr>{top}</tr></thead>\n" if head else ""
    body = f"<tbody>\n{lines}\n</tbody>"
    return f'<div class="wide"><table class="{style}">{heading}{body}</table></div>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """A table of names and plain values; what is empty is left out."""
    return table([], [(escape(k), escape(v)) for k, v in pairs if v], "facts")


def code(text: str) -> str:
    """A block of code."""
    return f"<pre>{escape(text.strip())}</pre>"


def folded(summary: str, body: str) -> str:
    """What is shown when it is asked for, and on paper."""
    return f"<details><summary>{escape(summary)}</summary>\n{body}\n</details>"
