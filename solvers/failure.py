"""What is said when no step leads on."""

from __future__ import annotations

HOPELESS = 1e-9  # of the last moment: no step is shorter


def failure(
    member: int, time: float, *, finite: bool, step: float | None, tolerance: float | None
) -> FloatingPointError:
    """The error for a member that could not go on at a time, with the remedy.

    `finite` says whether its state still was; without a tolerance the steps were equal.

    >>> print(failure(3, 1.25, finite=False, step=0.25, tolerance=None))
    member 3 became non-finite at t=1.25; halve step (now 0.25)
    """
    if tolerance is None:
        remedy = f"halve step (now {step:g})"
    elif finite:
        remedy = f"raise tolerance (now {tolerance:g}) or refine the grid"
    else:
        remedy = "check the equation's parameters and the initial state"
    what = "needs ever shorter steps" if finite else "became non-finite"
    return FloatingPointError(f"member {member} {what} at t={time:.6g}; {remedy}")
