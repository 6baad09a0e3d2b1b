"""What was published: kernel functional flow matching, arXiv:2609.38049, its tables, 10 seeds.

Means over seeds. MMD is the squared one. The DDO of these tables is the code's, with the factor
that its sampler lacks (see `rivals.ddo`). All on the benchmark's own data, which are not those of
this page (see `datasets`).
"""

SOURCE = "arXiv:2609.38049"

MMD = {
    "navier_stokes": {
        "kFFM": 1.63e-3, "OT-CFM": 1.78e-3, "FFM": 0.131, "DDPM": 0.380, "DDO": 0.735,
        "GANO": 0.300,
    },
    "stochastic_navier_stokes": {
        "kFFM": 2.80e-3, "OT-CFM": 4.22e-3, "FFM": 0.0968, "DDPM": 0.120, "DDO": 0.295,
        "GANO": 0.252,
    },
    "turbulent_navier_stokes": {
        "kFFM": 1.48e-3, "OT-CFM": 1.47e-3, "FFM": 0.108, "DDPM": 0.380, "DDO": 0.569,
    },
    "kdv": {
        "kFFM": -2.56e-3, "OT-CFM": -1.32e-3, "FFM": -1.16e-3, "DDPM": 0.0484, "DDO": 0.237,
        "GANO": 0.412,
    },
    "stochastic_kdv": {
        "kFFM": 1.00e-4, "OT-CFM": 6.58e-4, "FFM": 8.80e-4, "DDPM": 3.84e-4, "DDO": 0.0448,
        "GANO": 0.0239,
    },
}  # fmt: skip

LOG_SPECTRUM = {
    "navier_stokes": {
        "kFFM": 0.587, "OT-CFM": 0.344, "FFM": 0.792, "DDPM": 0.258, "DDO": 0.993, "GANO": 2.21,
    },
    "stochastic_navier_stokes": {
        "kFFM": 0.0322, "OT-CFM": 0.0311, "FFM": 0.062, "DDPM": 0.86, "DDO": 1.06, "GANO": 1.03,
    },
    "turbulent_navier_stokes": {
        "kFFM": 0.020, "OT-CFM": 0.022, "FFM": 0.065, "DDPM": 0.117, "DDO": 0.937,
    },
}  # fmt: skip

MEAN_MSE = {
    "navier_stokes": {"kFFM": 0.0020, "FFM": 0.0796, "DDPM": 0.527, "DDO": 0.479, "GANO": 0.0616},
}
VARIANCE_MSE = {
    "navier_stokes": {
        "kFFM": 0.00075, "FFM": 0.0311, "DDPM": 0.0217, "DDO": 0.0439, "GANO": 0.0274,
    },
}  # fmt: skip
SLICED_W = {
    "navier_stokes": {"kFFM": 0.081, "FFM": 0.315},
    "stochastic_navier_stokes": {"kFFM": 0.365, "FFM": 1.06},
    "turbulent_navier_stokes": {
        "kFFM": 0.193, "OT-CFM": 0.194, "FFM": 0.601, "DDPM": 1.18, "DDO": 1.39,
    },
}  # fmt: skip
MARGINAL_W1 = {
    "navier_stokes": {"kFFM": 0.058, "FFM": 0.239},
    "stochastic_navier_stokes": {"kFFM": 0.249, "FFM": 0.795},
}
PUBLISHED = {
    "mmd": MMD,
    "log_spectrum": LOG_SPECTRUM,
    "mean_mse": MEAN_MSE,
    "variance_mse": VARIANCE_MSE,
    "sliced_w": SLICED_W,
    "marginal_w1": MARGINAL_W1,
}
