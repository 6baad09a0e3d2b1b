"""The questions as methods of xarray's own objects: `ensemble.pushforward.enstrophy()`.

They are there with any name of this package (``from pushforward import Archive``), and with what
xarray's engine "pushforward" opens. ``import pushforward`` alone loads no xarray and adds nothing:
for arrays that come from elsewhere write ``import pushforward.accessor``. This module is small;
what answers is loaded when it is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import xarray as xr


@xr.register_dataset_accessor("pushforward")
@xr.register_dataarray_accessor("pushforward")
class Questions:
    """What one can ask of the members of an array, or of a Dataset's variable (see `questions`).

    >>> u = xr.DataArray([1.0, 2.0, 3.0], dims="member")
    >>> u.pushforward.exceedance(2.5).probability.round(3).item()
    0.333
    """

    def __init__(self, of: xr.DataArray | xr.Dataset) -> None:
        self._of = of

    def _ask(self, question: str, *arguments: Any, **options: Any) -> Any:
        """What a function of `questions` says of this; loaded here, since it is all the scores."""
        answer = getattr(import_module(f"{__package__}.questions"), question)
        return answer(self._of, *arguments, **options)

    def moments(self, dim: str = "member", **options: Any) -> xr.Dataset:
        """Mean, deviation, skewness and kurtosis over the members, with standard errors."""
        return self._ask("moments", dim, **options)

    def quantiles(self, q: float | Sequence[float], **options: Any) -> xr.Dataset:
        """Quantiles over the members, with intervals."""
        return self._ask("quantiles", q, **options)

    def spread(self, dim: str = "member", **options: Any) -> xr.DataArray:
        """How far members lie from their mean."""
        return self._ask("spread", dim, **options)

    def amount(self, name: str, **options: Any) -> xr.DataArray:
        """An amount of every field, by its name."""
        return self._ask("amount", name, **options)

    def enstrophy(self, **options: Any) -> xr.DataArray:
        """Half the mean square vorticity of every field."""
        return self.amount("enstrophy", **options)

    def energy(self, **options: Any) -> xr.DataArray:
        """Half the mean square velocity of every field."""
        return self.amount("energy", **options)

    def palinstrophy(self, **options: Any) -> xr.DataArray:
        """Half the mean square slope of every vorticity."""
        return self.amount("palinstrophy", **options)

    def spectrum(self, **options: Any) -> xr.DataArray:
        """The mean square of every field, split over shells."""
        return self._ask("spectrum", **options)

    def circular_variance(self, **options: Any) -> xr.DataArray:
        """How far the angles of every field spread, from 0 to 1."""
        return self._ask("circular_variance", **options)

    def circular_skewness(self, **options: Any) -> xr.DataArray:
        """How lopsidedly the angles of every field spread, 0 for a symmetric law."""
        return self._ask("circular_skewness", **options)

    def exceedance(self, threshold: Any = None, **options: Any) -> xr.Dataset:
        """How likely a member lies above a threshold, with an interval."""
        return self._ask("exceedance", threshold, **options)

    def return_levels(self, periods: Sequence[float], **options: Any) -> xr.Dataset:
        """The levels that one member in so many exceeds, with intervals."""
        return self._ask("return_levels", periods, **options)

    def nearest(self, target: xr.DataArray, k: int = 1, **options: Any) -> xr.Dataset:
        """The k members nearest to a field."""
        return self._ask("nearest", target, k, **options)

    def closest(self, observation: xr.DataArray, k: int = 1, **options: Any) -> xr.Dataset:
        """The k members closest to an observation of a field."""
        return self._ask("closest", observation, k, **options)

    def coverage(self, truth: xr.DataArray | xr.Dataset, *args: Any, **options: Any) -> xr.Dataset:
        """The share of truths inside central intervals of their ensembles."""
        return self._ask("coverage", truth, *args, **options)

    def compare(self, other: xr.DataArray | xr.Dataset, **options: Any) -> xr.Dataset:
        """All scores of these members against another ensemble's, with floors."""
        return self._ask("compare", other, **options)
