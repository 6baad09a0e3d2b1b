"""Pictures: known values have known colours, and a GIF has the frames and the time it should."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from PIL import Image, ImageSequence

from pushforward import gallery
from pushforward.archive import Archive
from pushforward.colours import Scale
from pushforward.pictures import animation, contact_sheet, learning_curve, ours, save
from pushforward.sheets import DPI

RED, WHITE, BLUE = (mpl.colormaps["RdBu_r"](x)[:3] for x in (1.0, 0.5, 0.0))


def constants(*values: float, times: int = 1, shape=(8, 8), name: str = "u") -> xr.DataArray:
    """Members that are constant in space, and scaled by 1, 1/2, ... in time."""
    space = ("z", "y", "x")[-len(shape) :]
    fields = np.ones((len(values), times, *shape))
    fields *= np.reshape(values, (-1, 1, *[1] * len(shape)))
    fields /= np.arange(1, times + 1).reshape(1, -1, *[1] * len(shape))
    return xr.DataArray(fields, dims=("member", "time", *space), name=name)


def pixels(figure: Figure) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return np.asarray(Image.open(buffer).convert("RGB")) / 255


def middles(figure: Figure) -> list[np.ndarray]:
    """The colour in the middle of every panel, as it is seen."""
    seen = pixels(figure)
    height, width = seen.shape[:2]
    found = []
    for axes in figure.axes:
        box = axes.get_position()
        if axes.images:
            x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
            found.append(seen[round((1 - y) * height), round(x * width)])
    return found


def test_known_values_have_known_colours() -> None:
    low, zero, high = middles(contact_sheet(constants(-1, 0, 1)))
    for seen, colour in ((low, BLUE), (zero, WHITE), (high, RED)):
        assert np.allclose(seen, colour, atol=0.02)
    assert not np.allclose(low, high, atol=0.3)  # negative control


def test_all_times_have_one_scale() -> None:
    """Twice as little is half as red: a scale of its own would make every time red."""
    seen = middles(contact_sheet(constants(-1, 1, times=2)))
    half = mpl.colormaps["RdBu_r"](0.75)[:3]
    assert np.allclose(seen[1], RED, atol=0.02)
    assert np.allclose(seen[3], half, atol=0.02)


def test_every_variable_has_its_own_scale() -> None:
    both = xr.Dataset({"u": constants(-1, 1), "v": 100 * constants(-1, 1)})
    seen = middles(contact_sheet(both))
    assert np.allclose(seen[0], seen[2])
    assert np.allclose(seen[3], RED, atol=0.02)


def test_up_is_up() -> None:
    field = constants(0, shape=(8, 4))
    field[..., -1, :] = 1  # the largest y
    figure = contact_sheet(field)
    box, seen = figure.axes[0].get_position(), pixels(figure)
    rows = seen[:, round((box.x0 + box.x1) / 2 * seen.shape[1])]
    top, bottom = (rows[round((1 - y) * len(rows))] for y in (box.y1 - 0.01, box.y0 + 0.01))
    assert np.allclose(top, mpl.colormaps["viridis"](1.0)[:3], atol=0.15)
    assert np.allclose(bottom, mpl.colormaps["viridis"](0.0)[:3], atol=0.15)
    assert box.height * figure.get_figheight() == pytest.approx(
        2 * box.width * figure.get_figwidth()
    )


def test_a_scale_says_what_it_cuts() -> None:
    values = np.linspace(0, 1, 1001)
    values[:2], values[-1] = -9, 1.001
    assert Scale.of(np.append(values, 0.5)).extend == "min"
    assert Scale.of([0.0, 1.0]).extend == "neither"
    assert Scale.of(np.full(9, np.nan)) == Scale(0, 1, False)


def test_words_say_what_is_shown() -> None:
    waves = constants(1, -1, times=3).assign_coords(member=[4, 7], time=[0.0, 0.5, 2.0])
    waves = waves.assign_coords(y=np.arange(8) / 4, x=np.arange(8) / 2)
    waves.attrs = {"units": "m/s", "long_name": "speed of the water"}
    figure = contact_sheet(waves, times=2, title="Waves")
    said = {text.get_text() for text in figure.texts}
    assert {"Waves", "u", "member 4", "member 7", "t = 0", "t = 2", "8 × 8 points on 2 × 4"} < said
    assert "t = 0.5" not in said
    assert "speed of the water, in m/s" in {
        text.get_text() for axes in figure.axes for text in axes.texts
    }


def test_one_axis_is_curves_or_a_history() -> None:
    few, many = (contact_sheet(constants(1, 2, times=n, shape=(16,))) for n in (3, 12))
    assert [len(axes.lines) for axes in few.axes] == [3, 3]
    assert [axes.images[0].get_size() for axes in many.axes[:2]] == [(12, 16)] * 2


def test_three_axes_are_cut_in_the_middle() -> None:
    field = constants(0, 0, shape=(4, 8, 8))
    field[:, :, 2] = xr.DataArray([-1.0, 1.0], dims="member")
    low, high = middles(contact_sheet(field))
    assert np.allclose(low, BLUE, atol=0.02)
    assert np.allclose(high, RED, atol=0.02)


def test_no_words_overlap() -> None:
    """Of a sheet with everything on it, at the size it is drawn in."""
    both = xr.Dataset(
        {"u": constants(-1, 1, 2, times=3), "speed": 1e-7 * constants(-1, 1, 2)[:, 0]}
    )
    both.u.attrs["long_name"] = "what it is"
    figure = contact_sheet(both, title="Both")
    pixels(figure)
    words = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    for axes in figure.axes:
        words += [label for label in axes.get_yticklabels() if axes.yaxis.get_visible()]
    boxes = [word.get_window_extent() for word in words if word.get_text()]
    whole = figure.bbox
    for i, one in enumerate(boxes):
        assert whole.x0 <= one.x0 < one.x1 <= whole.x1
        assert not any(one.overlaps(other) for other in boxes[:i])


@pytest.mark.parametrize(("times", "pause"), [(2, 800), (25, 200), (60, 80)])
def test_a_gif_has_a_frame_a_time(times: int, pause: int, tmp_path: Path) -> None:
    path = animation(constants(-1, 1, times=times), tmp_path / "u.gif")
    with Image.open(path) as image:
        assert image.info["loop"] == 0  # for ever
        shown = [frame.info["duration"] for frame in ImageSequence.Iterator(image)]
    assert shown == [pause] * times
    assert path.stat().st_size < 2e6


def test_a_gif_of_many_times_skips_some(tmp_path: Path) -> None:
    path = animation(constants(1, times=250, shape=(4, 4)), tmp_path / "u.gif")
    with Image.open(path) as image:
        assert image.n_frames == 100  # type: ignore[attr-defined]


def test_frames_do_not_flicker(tmp_path: Path) -> None:
    """What stays the same has the same colours in all frames; what halves does not."""
    field = constants(-1, 1, 1, times=4)
    field[2] = 1
    with Image.open(animation(field, tmp_path / "u.gif")) as image:
        frames = [
            np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(image)
        ]
    height, width = frames[0].shape[:2]
    still, moving = (frames_at(frames, height // 2, int(width * x)) for x in (0.76, 0.5))
    assert (np.ptp(still, axis=0) == 0).all()
    assert np.ptp(moving, axis=0).max() > 40
    assert np.abs(still[0] / 255 - RED).max() < 0.03  # in few colours


def frames_at(frames: list[np.ndarray], y: int, x: int) -> np.ndarray:
    return np.stack([frame[y, x] for frame in frames])


def test_a_long_title_fits() -> None:
    """Beside few members, and with signs that matplotlib would take for mathematics."""
    title = "Surrogate ensemble of fitzhugh_nagumo_cells: generation-1a2b3c4d5e $\\frac$"
    figure = contact_sheet(constants(1, name="$\\x$"), title=title)
    pixels(figure)
    (said,) = (text for text in figure.texts if text.get_text() == title)
    assert said.get_window_extent().x1 <= figure.bbox.x1


def test_a_gif_is_small(tmp_path: Path) -> None:
    """64 x 64 points of something smooth, 50 frames, three members: a few MB at most."""
    k, phase = np.arange(1, 9), np.random.default_rng(0).uniform(0, 6, (3, 50, 8, 8))
    x = np.arange(64) / 64 * 2 * np.pi
    waves = np.cos(k[:, None, None, None] * x + k[:, None, None] * x[:, None])
    fields = np.einsum("abyx,mtab->mtyx", waves, np.cos(phase.cumsum(1) / 10))
    array = xr.DataArray(fields, dims=("member", "time", "y", "x"), name="u")
    assert animation(array, tmp_path / "u.gif").stat().st_size < 3e6


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (xr.DataArray(np.ones((2, 2, 2, 2)), dims=("a", "b", "c", "d")), "1 to 3 axes of space"),
        (xr.DataArray(np.ones(3), dims="member"), "1 to 3 axes of space"),
        (xr.DataArray(np.ones((0, 4)), dims=("member", "x")), "real values"),
        (xr.DataArray(np.ones((2, 4), complex), dims=("member", "x")), "real values"),
    ],
)
def test_what_cannot_be_seen_is_refused(array: xr.DataArray, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        contact_sheet(array)


def test_what_does_not_move_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="several times, got none"):
        animation(constants(1, 2), tmp_path / "u.gif")


def test_few_members_are_read() -> None:
    """A million of them lie behind dask, and would not fit."""
    dask = pytest.importorskip("dask.array")
    huge = dask.ones((10**6, 3, 64, 64), chunks=(1000, 1, 64, 64))
    contact_sheet(xr.DataArray(huge, dims=("member", "time", "y", "x"), name="u"), members=2)


def test_a_learning_curve_has_both_losses() -> None:
    lines = [{"step": i, "loss": 1 / i, "held_out_loss": 2 / i} for i in range(1, 9)]
    (axes,) = learning_curve(lines).axes
    assert [list(map(float, np.array(line.get_xydata())[:, 1])) for line in axes.lines] == [
        [1 / i for i in range(1, 9)],
        [2 / i for i in range(1, 9)],
    ]


def test_results_have_pictures(shared, tmp_path: Path) -> None:
    evaluation, archive = shared
    generation, training = evaluation.generation, evaluation.generation.training
    drawn = gallery.draw(training.simulation.name, archive, tmp_path)
    assert [path.suffix for path in drawn] == [".png", ".gif"]
    drawn += gallery.draw(generation.name, archive, tmp_path)
    drawn += gallery.draw(training.name, archive, tmp_path)
    assert len(drawn) == 4
    assert {*tmp_path.iterdir()} == {*drawn}
    assert all(map(ours, drawn))
    assert archive.verify(training.simulation) == []  # nothing was put beside the data


def test_an_evaluation_shows_what_it_compares(shared, tmp_path: Path) -> None:
    evaluation, archive = shared
    fields = gallery._compared(evaluation, archive)
    assert list(fields.ensemble.values) == ["solver", "surrogate", "Gaussian"]
    last = archive.open(evaluation.generation).vorticity.isel(time=-1, member=0)
    assert np.array_equal(fields.vorticity.sel(ensemble="surrogate").isel(member=0), last)


def test_a_bucket_has_pictures_too(tmp_path: Path) -> None:
    from pushforward import Study, simulate

    simulation = Study.load("smoke").smoke().simulation
    archive = Archive("memory://lab/pictures")
    simulate(simulation, archive)
    assert len(gallery.draw(simulation.name, archive, tmp_path)) == 2


def test_a_file_of_somebody_else_stays(shared, tmp_path: Path) -> None:
    evaluation, archive = shared
    name = evaluation.generation.training.name
    path = tmp_path / f"{name}.png"
    Image.new("RGB", (4, 4)).save(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="choose a folder with --to"):
        gallery.draw(name, archive, tmp_path)
    assert path.read_bytes() == before
    path.unlink()
    save(learning_curve([{"step": 1, "loss": 1.0}]), path)  # one of ours may be replaced
    assert gallery.draw(name, archive, tmp_path) == [path]


def test_what_is_incomplete_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="run simulate"):
        gallery.draw("simulation-1a2b3c4d5e", Archive(tmp_path), tmp_path)
