"""What every child would import and make by itself, imported and made once, before they fork.

No storage library is opened here: its threads would not live on in a child.
"""

from __future__ import annotations

import email.policy  # noqa: F401
import importlib.resources.readers  # noqa: F401
import multiprocessing.synchronize  # noqa: F401
from contextlib import suppress

import pydantic.type_adapter  # noqa: F401
import torch

import pushforward.catalogs
import pushforward.evaluation
import pushforward.flows.cli
import pushforward.flows.runs
import pushforward.report  # noqa: F401
from pushforward.descent import started
from pushforward.provenance import code, machine
from pushforward.simulation import template
from tests.faults.subject import spec_of

with suppress(ImportError):  # only what runs on Dask needs it
    import distributed  # noqa: F401
code(), machine()  # these ask git and the processor
template(spec_of("simulate"))
spec_of("simulate").problem().solve([0])
# the first step of an optimiser imports a compiler, with all of sympy
parameter = torch.nn.Parameter(torch.ones(1))
parameter.grad = torch.ones(1)
started([parameter], spec_of("train")).advance(1e-3)
