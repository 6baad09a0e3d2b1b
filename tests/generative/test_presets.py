"""Presets: pages of plain numbers, each the diffusion of its paper."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest
import torch

from pushforward.generative import PRESETS, Backbone, Modes, preset
from pushforward.generative.presets import Preset, merged, restore

N = 64
MODES = Modes(
    torch.log_softmax(-0.1 * torch.arange(N, dtype=torch.float64), 0)[None],
    torch.arange(N).double() / 2,
    points=N,
    extent=(1.0,),
)
T = torch.linspace(0, 1, 101, dtype=torch.float64)


@pytest.mark.parametrize("name", PRESETS)
def test_a_page_survives_json(name: Preset) -> None:
    page = preset(name, backbone=Backbone("uno", width=8))
    assert restore(json.loads(json.dumps(asdict(page)))) == page
    assert page.preset == name


def test_changes_go_below_the_name() -> None:
    page = merged(
        {"preset": "vp", "path": {"lowest": -7.0, "prior": {"kind": "data"}}, "floor": 1}
    )
    assert page["path"]["lowest"] == -7.0
    assert page["path"]["schedule"] == "vp"
    assert page["path"]["prior"]["kind"] == "data"
    assert page["floor"] == 1
    assert merged({"preset": "none such", "floor": 1}) == {"preset": "none such", "floor": 1}
    with pytest.raises(ValueError, match=r"expected one of gud, .* got none such"):
        preset("none such")


@pytest.mark.parametrize("name", PRESETS)
def test_levels_fall_on_every_preset(name: Preset) -> None:
    page = PRESETS[name]
    levels = page.path.on(MODES, page.process.dynamics())(T)
    assert torch.isfinite(levels).all()
    assert (levels.diff(dim=0) < 0).all()


@pytest.mark.parametrize("name", ["vp", "edm", "cld", "psld", "alda", "malda", "learned"])
def test_white_presets_have_one_noise_level_for_all_grid_points(name: Preset) -> None:
    """In data units the noise's variance v_k / snr_k is the same for all coefficients: pixels."""
    page = PRESETS[name]
    levels = page.path.on(MODES, page.process.dynamics())
    noise = N * torch.exp(MODES.log_variance - levels(T))
    torch.testing.assert_close(noise, noise[..., :1].expand_as(noise))
    # relative to a signal of unit variance at a point it is that of the clock
    torch.testing.assert_close(noise[:, 0, 0], torch.exp(-levels.clock(T)))


def test_trace_class_presets_have_noise_that_is_a_function() -> None:
    for name, decay in (("ddo", 3.0), ("multilevel", 2.2)):
        levels = PRESETS[name].path.on(MODES)
        noise = torch.exp(MODES.log_variance - levels(T[50:51]) + levels.clock(T[50:51]))[0, 0]
        assert float(noise[0] + 2 * noise[2::2].sum()) < 1.001  # its variance at a point
        slope = (noise[62] / noise[60]).log() / math.log(31 / 30)
        assert float(slope) == pytest.approx(-decay, abs=0.1)


def test_published_clocks() -> None:
    """VP: alpha_1 = 0.00657 (as the published code has it); EDM: sigma from 80 to 0.002."""
    for name in ("vp", "multilevel"):
        clock = PRESETS[name].path.on(MODES).clock(T)
        alpha = torch.sigmoid(clock[-1]).sqrt()
        assert float(alpha) == pytest.approx(0.00657, rel=0.05)
    sigma = 0.5 * torch.exp(-PRESETS["edm"].path.on(MODES).clock(T) / 2)
    assert float(sigma[0]) == pytest.approx(0.002, rel=0.01)
    assert float(sigma[-1]) == pytest.approx(80, rel=0.01)


@pytest.mark.parametrize("bad", [{"floor": 0.0}, {"oversampling": 0.5}])
def test_bad_pages_are_refused(bad: dict) -> None:
    with pytest.raises(ValueError, match="change the one that is off"):
        preset("gud", **bad)
