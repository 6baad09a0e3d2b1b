"""What every child would import and make by itself, imported and made once, before they fork.

No storage library is opened here: its threads would not live on in a child.
"""

from __future__ import annotations

import pushforward.evaluation
import pushforward.flows.cli
import pushforward.flows.runs
import pushforward.report  # noqa: F401
from pushforward.provenance import code, machine
from pushforward.simulation import template
from tests.faults.subject import spec_of

code(), machine()  # these ask git and the processor
template(spec_of("simulate"))
spec_of("simulate").problem().solve([0])
