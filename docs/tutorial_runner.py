"""Runs the tutorials as they stand, and writes what they printed below the blocks that printed it.

    python -m docs.tutorial_runner [NAME ...]               the outputs, in seconds
    python -m docs.tutorial_runner --pictures [NAME ...]    the pictures, at the larger sizes

A tutorial is a page of Markdown. Its blocks run in order, in one namespace and one empty folder:

    ```python   is executed
    ```sh       lines of `pushforward` are commands, `echo $?` the exit code of the last one
    ```yaml     is a file, named by the comment in its first line
    ```text     is what the block above printed; so the page's reader sees it, and so the test does

All other fences are for reading. An assignment may have a second value for pictures, which are of
more than a test can wait for:

    MEMBERS, STEPS = 96, 30  # for the picture: 1024, 1500

A picture that is made here stands on a line of its own, which names the file if it is called
otherwise there: ``![waves](waves.png)<!-- simulation-*.png -->``.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

FOLDER = Path(__file__).parent / "tutorials"
LARGE = Path(__file__).parents[1] / "build" / "tutorials"
NAMES = ("quickstart", "own_equation", "hpc", "querying", "evaluating")
FENCE = re.compile(
    r"^```(\w+)\n(.*?)^```\n(?:\n*^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL
)
LARGER = re.compile(r"^(\w[\w, ]* = ).*?  # for the pictures?: (.*)$", re.MULTILINE)
PICTURE = re.compile(r"^!\[.*?\]\(([\w.]+)\)(?:<!-- (\S+) -->)?$", re.MULTILINE)
NUMBER = re.compile(r"(?<![\w.-])[-−]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?(?!\w)")
DATE = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d")
VARYING = re.compile(r"\d ?(s|ms|seconds?|min|[kMG]i?B|bytes)\b|/s\b")
MODULE = "tutorial"  # what a page is while it runs
NEAR, CLOSE = 0.05, 0.02  # how far a number may be off on another machine: relative, absolute


class Block(NamedTuple):
    """A block of a page, what is printed below it (None: nothing), and where that stands."""

    kind: str
    code: str
    shown: str | None
    span: tuple[int, int]


class Ran(NamedTuple):
    """A block, and what it printed."""

    block: Block
    printed: str


def blocks(page: str) -> list[Block]:
    """The blocks that are executed.

    >>> [(one.kind, one.shown) for one in blocks("```sh\\nls\\n```\\n\\n```text\\na\\n```\\n")]
    [('sh', 'a\\n')]
    """
    return [
        Block(found[1], found[2], found[3], found.span(3))
        for found in FENCE.finditer(page)
        if found[1] in ("python", "sh", "yaml")
    ]


def run(name: str, folder: Path, *, larger: bool = False) -> Iterator[Ran]:
    """Executes a tutorial in a folder, block by block; `larger` with the sizes for pictures.

    Raises what a block raises, with its first line as a note.
    """
    module, shell = ModuleType(MODULE), Shell()
    sys.modules[MODULE] = module  # where dataclasses look for the names of their hints
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    for block in blocks(page):
        code = LARGER.sub(r"\1\2", block.code) if larger else block.code
        printed = io.StringIO()
        with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
            try:
                if block.kind == "python":
                    exec(compile(code, f"{name}.md", "exec"), vars(module))
                elif block.kind == "sh":
                    shell.run(code)
                else:
                    Path(code.partition("\n")[0].removeprefix("# ")).write_text(code)
            except Exception as error:
                error.add_note(f"in {name}.md, the {block.kind} block that begins {code:.60}")
                raise
        yield Ran(block, printed.getvalue())


class Shell:
    """What of a shell a tutorial needs: the command line, in this process, and its exit code."""

    code = 0

    def run(self, lines: str) -> None:
        """Runs the lines; raises RuntimeError for a command that fails and is not asked why."""
        from pushforward.flows import cli

        commands = [shlex.split(one, comments=True) for one in lines.splitlines()]
        commands = [one for one in commands if one]
        for place, words in enumerate(commands):
            if words == ["echo", "$?"]:
                print(self.code)
                continue
            if words[0] != "pushforward":
                raise RuntimeError(f"expected a command of pushforward, got {words[0]}")
            complaint = io.StringIO()
            with contextlib.redirect_stderr(complaint):
                try:
                    cli.main(words[1:])
                except SystemExit as left:
                    self.code = int(left.code or 0)
            asked = commands[place + 1 : place + 2] == [["echo", "$?"]]
            if self.code and not asked:
                raise RuntimeError(
                    f"{shlex.join(words)} exits with {self.code}: {complaint.getvalue()}"
                )


def differences(shown: str, printed: str) -> list[str]:
    """The lines of a page that are no longer what its block prints.

    Numbers may differ a little, as they do between processors, and at will in lines with times or
    sizes of files; dates always do.

    >>> differences("loss 1.00\\nin 3.1 s", "loss 1.01\\nin 9.5 s"), differences("a 1", "a 2")
    ([], ['- a 1', '+ a 2'])
    """
    ours, theirs = shown.split("\n"), printed.split("\n")
    ours, theirs = ([_plain(one) for one in lines] for lines in (ours, theirs))
    ours, theirs = ([one for one in lines if one] for lines in (ours, theirs))
    if len(ours) != len(theirs):
        return [f"- {one}" for one in ours] + [f"+ {one}" for one in theirs]
    pairs = [pair for pair in zip(ours, theirs, strict=True) if not _same(*pair)]
    return [text for one, other in pairs for text in (f"- {one}", f"+ {other}")]


def _plain(line: str) -> str:
    """A line without its dates and widths of columns."""
    return " ".join(DATE.sub("DATE", re.sub("─+", "─", line)).split())


def _same(ours: str, theirs: str) -> bool:
    if NUMBER.sub("#", ours) != NUMBER.sub("#", theirs):
        return False
    if VARYING.search(ours):
        return True
    pairs = zip(_numbers(ours), _numbers(theirs), strict=True)
    return all(abs(a - b) <= max(CLOSE, NEAR * abs(a)) for a, b in pairs)


def _numbers(line: str) -> list[float]:
    return [float(one.replace("−", "-").replace(",", "")) for one in NUMBER.findall(line)]


def refresh(name: str) -> None:
    """Writes what the blocks of a tutorial print into its page."""
    path = FOLDER / f"{name}.md"
    page = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for block, printed in reversed([*run(name, Path(folder))]):
            if block.shown is not None:
                kept = [one.rstrip() for one in printed.split("\n")]
                lines = "\n".join(kept).strip("\n")
                page = f"{page[: block.span[0]]}{lines}\n{page[block.span[1] :]}"
    path.write_text(page, encoding="utf-8")


def illustrate(name: str) -> None:
    """Makes the pictures of a tutorial, and stores them beside it.

    What it computes stays in build/, and is taken from there the next time.
    """
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    folder = LARGE / name
    folder.mkdir(parents=True, exist_ok=True)
    for ran in run(name, folder, larger=True):
        print(ran.printed, end="")
    for target, source in PICTURE.findall(page):
        (made,) = folder.glob(source or target)
        shutil.copyfile(made, FOLDER / target)


def main(arguments: list[str]) -> None:
    """Refreshes the pages that are named, or all of them."""
    names = [one for one in arguments if not one.startswith("-")] or NAMES
    for name in names:
        (illustrate if "--pictures" in arguments else refresh)(name)
        print(name)


if __name__ == "__main__":
    main(sys.argv[1:])
