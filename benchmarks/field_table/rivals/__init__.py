"""The methods of the table by name: what fits each, its evaluations, and its title."""

from __future__ import annotations

from . import cfno, copies, ddo, ddpm, flow, gano, gaussian, ours
from .rival import Budget, Fit, Rival, Spent, Watch

__all__ = ["NUMBERS", "RIVALS", "TITLES", "Budget", "Fit", "Rival", "Spent", "Watch"]

RIVALS: dict[str, Fit] = {
    "copies": copies.fit,
    "gaussian": gaussian.fit,
    "ours": ours.fit,
    "ddpm": ddpm.fit,
    "ffm": flow.fit_ffm,
    "ot_cfm": flow.fit_ot_cfm,
    "ddo": ddo.fit_published,
    "ddo_corrected": ddo.fit_corrected,
    "gano": gano.fit,
    "cfno": cfno.fit,
}
NUMBERS = {  # of network evaluations a member, when nothing else is asked for
    "copies": 0,
    "gaussian": 0,
    "ours": ours.STEPS,
    "ddpm": ddpm.EVALUATIONS,
    "ffm": flow.EVALUATIONS,
    "ot_cfm": flow.EVALUATIONS,
    "ddo": ddo.LEVELS * ddo.INNER,
    "ddo_corrected": ddo.LEVELS * ddo.INNER,
    "gano": 1,
    "cfno": 1,
}
TITLES = {
    "copies": "control: members that were learnt from",
    "gaussian": "Gaussian surrogate (ours, zero steps)",
    "ours": "pushforward (gud, multistep of order 2)",
    "ddpm": "white-noise DDPM",
    "ffm": "functional flow matching (Matern noise)",
    "ot_cfm": "OT-CFM (white noise, exact minibatch transport)",
    "ddo": "DDO, the benchmark's sampler",
    "ddo_corrected": "DDO, sampler corrected",
    "gano": "GANO, gradient penalty corrected",
    "cfno": "FNO + noise, energy score",
}
