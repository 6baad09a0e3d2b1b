"""A training step of pushforward's FNO beside neuraloperator's.

    python -m benchmarks.training                all of it: docs/results/training.md and .json
    python -m benchmarks.training --quick        small cases, printed
    python -m benchmarks.training --cases 64     some cases, printed

One thread; `pip install pushforward[bench]` brings the peer.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from dataclasses import asdict
from pathlib import Path

import torch

from . import page
from .cases import CASES
from .measurement import measured
from .rounds import ROUNDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "results" / "training.md"


def main() -> None:
    """Runs what is asked for, and writes or prints the page."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="small cases, printed")
    parser.add_argument("--cases", nargs="*", choices=list(CASES), help="only these, printed")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=UserWarning)
    began, found = time.perf_counter(), []
    for name in chosen.cases or CASES:
        case = CASES[name].quick() if chosen.quick else CASES[name]
        found.append(measured(case, 3 if chosen.quick else ROUNDS))
        print(f"{time.perf_counter() - began:5.0f} s  {case.title}", flush=True)
    text = page.write(found, time.perf_counter() - began)
    if chosen.quick or chosen.cases:
        print(text)
    else:
        PAGE.write_text(text, encoding="utf-8")
        kept = json.dumps([asdict(one) for one in found], indent=1) + "\n"
        PAGE.with_suffix(".json").write_text(kept, encoding="utf-8")


if __name__ == "__main__":
    main()
