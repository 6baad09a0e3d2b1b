"""How often the truth lies where an ensemble says it does.

Among M members and a truth of the same law every rank is as likely, so that the truth lies between
the k-th smallest and the k-th largest member with probability (M + 1 - 2 k) / (M + 1). That is the
central interval of that level, for every law, and the shares of truths inside it are compared with
it. `verify_forecast` has more scores of the same kind.

    Hamill, Mon. Weather Rev. 129 (2001), doi:10.1175/1520-0493(2001)129<0550:IORHFV>2.0.CO;2
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from pushforward.intervals import check_confidence, proportion
from pushforward.labels import along, field, ordered

LEVELS = (0.5, 0.8, 0.9, 0.95)


def coverage(
    ensemble: xr.DataArray | xr.Dataset,
    truth: xr.DataArray | xr.Dataset,
    levels: Sequence[float] = LEVELS,
    *,
    over: str = "case",
    confidence: float = 0.95,
    variable: str | None = None,
) -> xr.Dataset:
    """The share of truths inside central intervals of their ensembles, `coverage`, along `level`.

    `ensemble` has the dimensions `member` and `over`, whose truths are independent; all others
    stay. `nominal` is the level that so many members have, nearest to the one that is asked; `low`
    to `high` is Clopper and Pearson's interval, which holds `nominal` if the ensemble is right.
    Raises ValueError for arrays that do not fit together.

    >>> u = xr.DataArray(np.random.default_rng(0).normal(size=(2000, 20)), dims=("case", "member"))
    >>> found = coverage(u[:, 1:], u[:, 0], [0.8])
    >>> found.nominal.values, bool(found.low < 0.8 < found.high)
    (array([0.8]), True)
    """
    x, y = along(field(ensemble, variable), "member"), field(truth, variable)
    wanted = [dim for dim in x.dims if dim != "member"]
    if {*y.dims} != {*wanted} or over not in wanted:
        raise ValueError(
            f"expected a truth along {over} and all other dimensions of the ensemble, {wanted}, "
            f"got {list(y.dims)}; name with over= what counts independent truths"
        )
    if not all(0 < level < 1 for level in levels):
        raise ValueError(f"expected levels between 0 and 1, got {levels}; 0.9 is one")
    y = ordered(y.transpose(*wanted), x, "the truth", "the ensemble")
    y = y.drop_vars([*y.coords])
    size, total = x.sizes["member"], x.sizes[over]
    asked = np.asarray(levels, float)
    out = np.clip(np.round((1 - asked) / 2 * (size + 1)), 1, None)  # members beyond, on each side
    if size < 2:
        raise ValueError("expected at least 2 members, got 1; give more of them")
    out = np.minimum(out, size // 2)
    below, above = (x <= y).sum("member"), (x >= y).sum("member")
    needed = xr.DataArray(out, {"level": asked}, "level")
    known = (x.notnull().all("member") & y.notnull()).all(over)
    count = ((below >= needed) & (above >= needed)).sum(over)
    low, high = xr.apply_ufunc(
        proportion,
        count,
        kwargs={"total": total, "confidence": check_confidence(confidence)},
        output_core_dims=[[], []],
        dask="parallelized",
        output_dtypes=[np.float64, np.float64],
    )
    values = {"coverage": count / total, "low": low, "high": high}
    about = {"confidence": confidence, "members": size, "truths": total}
    found = xr.Dataset({name: value.where(known) for name, value in values.items()}, attrs=about)
    return found.assign(nominal=("level", (size + 1 - 2 * out) / (size + 1)))
