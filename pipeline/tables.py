"""Small Datasets as JSON: what an evaluation stores, and how it is read again."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

LARGEST = float(np.finfo(np.float64).max)


def plain(dataset: xr.Dataset) -> dict[str, Any]:
    """A Dataset as JSON values; NaN becomes null, and an infinity the largest number."""
    return _finite(dataset.to_dict())


def restore(values: dict[str, Any]) -> xr.Dataset:
    """The Dataset of `plain`.

    >>> stored = plain(xr.Dataset({"ratio": ("score", [1.0, np.nan, np.inf])}))
    >>> stored["data_vars"]["ratio"]["data"], restore(stored).ratio.values
    ([1.0, None, 1.7976931348623157e+308], array([ 1., nan, inf]))
    """
    dataset = xr.Dataset.from_dict(values)
    for name, column in dataset.variables.items():
        if column.dtype == object and not any(isinstance(x, str) for x in column.values.flat):
            column = column.astype(float)
        if column.dtype.kind == "f":
            infinite = np.abs(column.values) >= LARGEST
            data = np.where(infinite, np.copysign(np.inf, column.values), column.values)
            dataset[name] = column.copy(data=data)
    return dataset


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else float(np.copysign(LARGEST, value))
    return value
