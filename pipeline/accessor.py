"""The questions as methods of xarray's own objects: `ensemble.pushforward.enstrophy()`.

They are there with any name of this package (``from pushforward import Archive``), and with what
xarray's engine "pushforward" opens. ``import pushforward`` alone loads no xarray and adds nothing:
for arrays that come from elsewhere write ``import pushforward.accessor``. This module is small;
what answers is loaded when it is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
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

    def moments(self, dim: str = "member", **options: Any) -> xr.Dataset:
        """Mean, deviation, skewness and kurtosis over the members, with standard errors."""
        from pushforward import questions

        return questions.moments(self._of, dim, **options)

    def quantiles(self, q: float | Sequence[float], **options: Any) -> xr.Dataset:
        """Quantiles over the members, with intervals."""
        from pushforward import questions

        return questions.quantiles(self._of, q, **options)

    def spread(self, dim: str = "member", **options: Any) -> xr.DataArray:
        """How far members lie from their mean."""
        from pushforward import questions

        return questions.spread(self._of, dim, **options)

    def amount(self, name: str, **options: Any) -> xr.DataArray:
        """An amount of every field, by its name."""
        from pushforward import questions

        return questions.amount(self._of, name, **options)

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
        from pushforward import questions

        return questions.spectrum(self._of, **options)

    def exceedance(self, threshold: Any = None, **options: Any) -> xr.Dataset:
        """How likely a member lies above a threshold, with an interval."""
        from pushforward import questions

        return questions.exceedance(self._of, threshold, **options)

    def return_levels(self, periods: Sequence[float], **options: Any) -> xr.Dataset:
        """The levels that one member in so many exceeds, with intervals."""
        from pushforward import questions

        return questions.return_levels(self._of, periods, **options)

    def nearest(self, target: xr.DataArray, k: int = 1, **options: Any) -> xr.Dataset:
        """The k members nearest to a field."""
        from pushforward import questions

        return questions.nearest(self._of, target, k, **options)

    def closest(self, observation: xr.DataArray, k: int = 1, **options: Any) -> xr.Dataset:
        """The k members closest to an observation of a field."""
        from pushforward import questions

        return questions.closest(self._of, observation, k, **options)

    def coverage(self, truth: xr.DataArray | xr.Dataset, *args: Any, **options: Any) -> xr.Dataset:
        """The share of truths inside central intervals of their ensembles."""
        from pushforward import questions

        return questions.coverage(self._of, truth, *args, **options)

    def compare(self, other: xr.DataArray | xr.Dataset, **options: Any) -> xr.Dataset:
        """All scores of these members against another ensemble's, with floors."""
        from pushforward import questions

        return questions.compare(self._of, other, **options)
