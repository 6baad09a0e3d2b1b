"""The methods of the table by name: what fits each to fields, and what the table calls it."""

from __future__ import annotations

from . import cfno, ddo, ddpm, flow, gano, gaussian, ours
from .rival import Budget, Fit, Rival, Spent

__all__ = ["RIVALS", "TITLES", "Budget", "Fit", "Rival", "Spent"]

RIVALS: dict[str, Fit] = {
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
TITLES = {
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
