"""The command line: help, mistakes in one sentence, and what the commands print."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from pushforward.archive import Archive
from pushforward.flows import cli, runs
from pushforward.study import Study

VERBS = ["simulate", "train", "generate", "evaluate"]
COMMANDS = ["run", *VERBS, "report", "check", "list", "show", "export", "verify", "gc", "deploy"]


class Said(tuple[int, str, str]):
    """Exit code, stdout, stderr."""

    code = property(lambda self: self[0])
    out = property(lambda self: self[1])
    err = property(lambda self: self[2])


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]):
    def run(*arguments: object) -> Said:
        with pytest.raises(SystemExit) as left:
            cli.main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Said((int(left.value.code or 0), out, err))

    return run


def complaint(said: Said) -> str:
    """The one sentence, as the last line of stderr; no traceback anywhere."""
    assert "Traceback" not in said.err
    line = said.err.strip().splitlines()[-1]
    assert line.startswith("pushforward: ")
    return line.removeprefix("pushforward: ")


@pytest.mark.parametrize("verb", ["run", "train", "generate"])
def test_a_device_that_is_not_there_is_refused_before_anything_runs(
    command, verb: str, tmp_path: Path
) -> None:
    for name, why in (
        ("tpu", "expected a device auto, cpu, cuda or cuda:N"),
        ("cuda:99", "a GPU"),
    ):
        said = command(verb, "smoke", "--root", tmp_path / "runs", "--device", name)
        assert said.code == 2
        assert complaint(said).startswith("--device: ")
        assert why in complaint(said)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(command, name: str) -> None:
    said = command(name, "--help")
    assert said.code == 0
    assert f"Usage: pushforward {name}" in said.out
    assert "--root" in said.out


def test_no_command_is_without_help(command) -> None:
    listed = re.findall(r"^│ (\w+) ", command("--help").out, flags=re.MULTILINE)
    assert set(listed) == set(COMMANDS)


def test_the_version_is_the_packages(command) -> None:
    import pushforward

    assert command("--version").out.strip() == pushforward.__version__


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["frobnicate"], "frobnicate"),
        (["run"], "STUDY"),
        (["run", "smoke", "--wrokers", "3"], "--workers"),
        (["run", "smoke", "--workers", "many"], "many"),
        (["run", "smoke", "--workers", "0"], "expected 1 or more, got 0"),
        (["run", "no_such_study"], "no study at no_such_study"),
        (["run", "smoke", "--set", "training.step=3"], "did you mean steps?"),
        (["run", "smoke", "--set", "training.steps"], "expected an override a.b=c"),
        (["run", "smoke", "--set", "training.steps=many"], "training.steps: expected"),
        (["list", "--where", "viscosity"], "expected key=value"),
        (["list", "--where", "equation<kdv"], "expected a number after equation <"),
        (["train", "smoke", "--max-seconds", "0"], "expected more than 0, got 0"),
        (["train", "smoke", "--log", "excel"], "tensorboard"),
        (["check", "smoke", "--members", "0"], "at least 1"),
        (["check", "smoke", "--limit", "0"], "--limit above 0"),
        (["check", "smoke", "--limit", "small"], "small"),
    ],
)
def test_a_mistake_of_usage_is_one_sentence(command, arguments: list[str], sentence: str) -> None:
    said = command(*arguments)
    assert said.code == 2
    assert sentence in complaint(said)
    assert said.out == ""


def test_overrides_and_smoke_change_the_study() -> None:
    options = cli.Options(set=("training.steps=7", "generation.sampler.order=1"))
    study = cli.load("smoke", options)[""]
    assert (study.training.steps, study.generation.sampler.order) == (7, 1)
    assert cli.load("smoke", cli.Options(smoke=True))[""].title.endswith("(smoke)")


def test_a_missing_upstream_is_one_sentence(command, study: Study, tmp_path: Path) -> None:
    said = command("generate", "smoke", "--no-prefect", "--root", tmp_path)
    assert said.code == 1
    assert f"{study.training.name} is not in" in complaint(said)


def test_a_missing_upstream_is_one_sentence_in_a_flow(
    command, study: Study, tmp_path: Path, prefect_server: None
) -> None:
    said = command("generate", "smoke", "--root", tmp_path)
    assert said.code == 1
    assert f"{study.training.name} is not in" in complaint(said)
    assert "Encountered exception" not in said.err


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    arguments = ["generate", "smoke", "--no-prefect", "--debug", "--root", str(tmp_path)]
    with pytest.raises(LookupError, match="is not in"):
        cli.main(arguments)


def test_a_root_that_cannot_be_is_one_sentence(command, tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("")
    said = command(
        "simulate", "smoke", "--no-prefect", "--workers", 1, "--root", occupied / "runs"
    )
    assert said.code == 1
    assert str(occupied) in complaint(said)


def test_a_run_ends_with_name_scores_and_report(command, study: Study, by_verbs: Path) -> None:
    """Everything is complete there, so this only tells."""
    said = command("run", "smoke", "--no-prefect", "--root", by_verbs)
    assert said.code == 0
    assert study.generation.name in said.out
    assert "log_spectral_distance" in said.out
    page = re.search(r"report\s+(\S+)", said.out)
    assert page
    assert Path(page[1]).is_file()
    assert said.err.count("nothing to do") >= 4 or not said.err  # pytest may take the lines


def test_a_run_through_prefect_tells_the_same(
    command, study: Study, by_flows: Path, by_verbs: Path
) -> None:
    def table(root: Path, *options: str) -> list[str]:
        said = command("run", "smoke", "--root", root, *options)
        assert said.code == 0
        return [line for line in said.out.splitlines() if not line.startswith("report")]

    assert table(by_flows) == table(by_verbs, "--no-prefect")


@pytest.mark.parametrize("verb", ["simulate", "train", "generate"])
def test_a_verb_prints_the_name(command, study: Study, by_verbs: Path, verb: str) -> None:
    said = command(verb, "smoke", "--no-prefect", "--root", by_verbs)
    assert said.code == 0
    assert said.out.strip() == getattr(study, runs.SPECS[verb]).name


@pytest.mark.parametrize("options", [[], ["--no-prefect"]])
def test_a_training_out_of_time_wants_to_be_queued_again(
    command, study: Study, by_verbs: Path, tmp_path: Path, options: list[str], prefect_server: None
) -> None:
    name = study.simulation.name
    shutil.copytree(by_verbs / name, tmp_path / name)
    arguments = ("train", "smoke", "--root", tmp_path, *options)
    said = command(*arguments, "--max-seconds", 1e-9)
    assert said.code == 75
    assert complaint(said) == (
        f"{study.training.name} stopped at step 1 of 20 (after 1e-09 s); the same command goes on "
        "from here"
    )
    assert said.out == ""
    said = command(*arguments)
    assert said.code == 0
    assert said.out.strip() == study.training.name


def test_the_report_can_be_written_again(command, study: Study, by_verbs: Path) -> None:
    said = command("report", "smoke", "--root", by_verbs)
    assert said.code == 0
    assert study.title in Path(said.out.strip()).read_text("utf-8")


def test_list_names_everything(command, study: Study, by_verbs: Path) -> None:
    said = command("list", "--root", by_verbs)
    assert said.code == 0
    for spec in study.specs:
        assert spec.name in said.out
    assert said.out.count("complete") == 4


def test_list_answers_questions(command, study: Study, by_verbs: Path) -> None:
    kind = study.simulation.subject.kind
    assert (
        study.training.name
        in command(
            "list", "--root", by_verbs, "--where", f"equation={kind}", "--where", "kind=training"
        ).out
    )
    said = command("list", "--root", by_verbs, "--where", "equation=nothing")
    assert said.code == 0
    assert "no results" in said.out


def test_list_says_scores_and_lineage(command, study: Study, by_verbs: Path) -> None:
    table = Archive(by_verbs).table()
    row = table.loc[study.evaluation.name]
    said = command("list", "--root", by_verbs).out
    (line,) = [line for line in said.splitlines() if study.evaluation.name in line]
    assert f"{int(row.outside)} of {int(row.scores)} outside" in line
    assert study.generation.name in line
    assert len(max(said.splitlines(), key=len)) <= 250
    within = command("list", "--root", by_verbs, "--where", f"w1=[0,{1.01 * row.w1}]").out
    assert study.evaluation.name in within
    beyond = command("list", "--root", by_verbs, "--where", f"w1=[0,{0.99 * row.w1}]").out
    assert "no results" in beyond
    in_words = command("list", "--root", by_verbs, "--where", f"w1 <= {1.01 * row.w1}").out
    assert in_words == within
    assert "no results" in command("list", "--root", by_verbs, "--where", "resolution>9999").out


def test_export_writes_a_catalogue(command, study: Study, by_verbs: Path, tmp_path: Path) -> None:
    path = tmp_path / "intake.yaml"
    said = command("export", path, "--root", by_verbs, "--where", "kind=generation")
    assert (said.code, said.out) == (0, f"{path}: 1 sources\n")
    assert study.generation.name in path.read_text()
    assert study.simulation.name not in yaml.safe_load(path.read_text())["sources"]


def test_show_opens_with_xarray(command, study: Study, by_verbs: Path) -> None:
    said = command("show", study.generation.name[:-3], "--root", by_verbs, "--no-pictures")
    assert said.code == 0
    assert "picture" not in said.out
    assert "<xarray.Dataset>" in said.out
    assert study.generation.name in said.out
    shown = command("show", study.simulation.name, "--root", by_verbs, "--no-pictures")
    assert "certificate: none: run pushforward check" in shown.out


def test_show_says_how_to_repeat_it(command, study: Study, by_verbs: Path, tmp_path: Path) -> None:
    for spec in study.specs:
        said = command("show", spec.name, "--root", by_verbs, "--no-pictures")
        assert f"pushforward show {spec.name} --root {by_verbs} --study" in said.out
        text = command("show", spec.name, "--root", by_verbs, "--study")
        assert text.code == 0
        path = tmp_path / "study.yaml"
        path.write_text(text.out)
        assert getattr(Study.load(path), spec.kind).name == spec.name


def test_show_lists_files_where_there_are_no_arrays(command, study: Study, by_verbs: Path) -> None:
    said = command("show", study.training.name, "--root", by_verbs, "--no-pictures")
    assert "surrogate.safetensors" in said.out


def test_show_writes_pictures(
    command, study: Study, by_verbs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the folder one is in, or in another; never in the archive, which `verify` reads."""
    monkeypatch.chdir(tmp_path)
    name = study.simulation.name
    said = command("show", name, "--root", by_verbs)
    assert said.out.endswith(f"picture: {name}.png\npicture: {name}.gif\n")
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.png", f"{name}.gif"}
    for spec in study.specs:
        said = command("show", spec.name, "--root", by_verbs, "--to", "pictures")
        assert said.out.splitlines()[-1].startswith("picture: pictures/")
    assert len([*Path("pictures").glob("*.png")]) == 4
    assert command("verify", "--root", by_verbs).code == 0


def test_show_keeps_the_files_of_others(
    command, study: Study, by_verbs: Path, tmp_path: Path
) -> None:
    path = tmp_path / f"{study.generation.name}.png"
    path.write_text("mine")
    said = command("show", study.generation.name, "--root", by_verbs, "--to", tmp_path)
    assert said.code == 1
    assert "choose a folder with --to" in complaint(said)
    assert path.read_text() == "mine"


def test_show_of_an_evaluation_outlives_what_it_compared(
    command, study: Study, by_verbs: Path, tmp_path: Path
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(by_verbs, root)
    shutil.rmtree(root / study.generation.name)
    said = command("show", study.evaluation.name, "--root", root, "--to", tmp_path)
    assert said.code == 0
    assert f"no picture: {study.generation.name} is not in" in said.out


def test_show_of_nothing_is_one_sentence(command, by_verbs: Path) -> None:
    said = command("show", "simulation-none", "--root", by_verbs)
    assert said.code == 1
    assert "simulation-none is not in" in complaint(said)


def test_verify_finds_intact_results_and_a_damaged_one(
    command, study: Study, by_verbs: Path, tmp_path: Path
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(by_verbs, root)
    intact = command("verify", "--root", root)
    assert intact.code == 0
    assert intact.out.count("intact") == 4
    folder = root / study.simulation.name / "data.zarr" / study.simulation.channels[0]
    shard = next(path for path in sorted(folder.rglob("c/**/*")) if path.is_file())
    bits = bytearray(shard.read_bytes())
    bits[len(bits) // 2] ^= 1
    shard.write_bytes(bits)
    damaged = command("verify", study.simulation.name, "--root", root)
    assert damaged.code == 1
    assert re.search(r"damaged: block \d", damaged.out)
    mended = command("verify", study.simulation.name, "--root", root, "--repair")
    assert mended.code == 0
    assert "made again" in mended.out
    assert command("verify", "--root", root).out == intact.out


def test_verify_mends_a_seal_that_is_no_json_and_names_a_spec_that_is_none(
    command, study: Study, by_verbs: Path, tmp_path: Path
) -> None:
    root = tmp_path / "runs"
    shutil.copytree(by_verbs, root)
    drawn, solved = study.generation.name, study.simulation.name
    (root / drawn / "manifest.json").write_bytes(b"\xff")
    found = command("verify", "--root", root)
    assert found.code == 1
    assert f"{drawn}: damaged: manifest.json" in found.out
    mended = command("verify", drawn, "--repair", "--root", root)
    assert mended.code == 0
    assert "made again" in mended.out
    assert command("verify", "--root", root).code == 0
    text = (root / solved / "spec.json").read_text()
    (root / solved / "spec.json").write_text(text.replace('"spec"', '"spek"'))
    assert command("list", "--root", root).code == 0
    assert command("verify", "--root", root).code == 1


def test_gc_names_what_it_would_remove_and_asks(
    command, study: Study, by_verbs: Path, tmp_path: Path
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(by_verbs, root)
    assert "nothing to remove" in command("gc", "--root", root).out
    for path in (root, *root.rglob("*")):
        os.utime(path, (0, 0))
    kept = command("gc", "smoke", "--root", root)
    assert "nothing to remove" in kept.out
    asked = command("gc", "quickstart", "--root", root)
    assert asked.code == 2
    assert "--yes" in complaint(asked)
    assert all(spec.name in asked.out for spec in study.specs)
    assert len([*root.iterdir()]) == len(study.specs)
    removed = command("gc", "quickstart", "--root", root, "--yes")
    assert removed.code == 0
    assert "removed 4 of these" in removed.out
    assert [*root.iterdir()] == []
    assert command("gc", "no_such_study", "--root", root).code == 2


def test_a_check_says_whether_the_data_are_converged(
    command, study: Study, tmp_path: Path
) -> None:
    """The smoke study's grid is too coarse for 1e-3, and fine enough for a half."""
    name, arguments = study.simulation.name, ("check", "smoke", "--root", tmp_path)
    said = command(*arguments, "--members", 2, "--workers", 1)
    assert said.code == 1
    for text in ("time step", "grid", "precision", "reference", "16x16 -> 32x32 points"):
        assert text in said.out
    verdict = said.out.strip().splitlines()[-1]
    assert verdict.startswith("not converged from t=")
    assert "the grid is to blame" in verdict
    shown = command("show", name, "--root", tmp_path)  # nothing is simulated yet
    assert shown.code == 1
    assert f"certificate: {verdict}" in shown.out
    assert ", not converged" in command("list", "--root", tmp_path).out
    said = command(*arguments, "--members", 2, "--workers", 1, "--limit", 0.5)
    assert said.code == 0
    assert said.out.strip().splitlines()[-1].startswith("converged: relative L2 error ")
    assert "not converged" not in command("list", "--root", tmp_path).out


def test_a_check_takes_overrides(command, tmp_path: Path) -> None:
    said = command(
        *("check", "smoke", "--root", tmp_path, "--members", 1, "--workers", 1),
        *("--set", "simulation.dtype=float64", "--set", "simulation.grid.shape=[32, 32]"),
    )
    assert "precision" not in said.out
    assert "32x32 -> 64x64 points" in said.out


def test_names_are_found_by_their_beginning(study: Study, by_verbs: Path) -> None:
    archive = Archive(by_verbs)
    assert archive.find("evaluation").name == study.evaluation.name
    with pytest.raises(LookupError, match="expected one result, got"):
        archive.find("")


@pytest.mark.parametrize("options", [["--workers", "1"], ["--workers", "2"]])
def test_ctrl_c_is_one_sentence_and_the_run_goes_on(
    study: Study, tmp_path: Path, options: list[str]
) -> None:
    """Interrupted after the first block as a terminal does it, to the whole process group."""
    arguments = [sys.executable, "-m", "pushforward.flows", "simulate", "smoke", "--no-prefect"]
    arguments += ["--root", str(tmp_path), "--set", "simulation.step=1e-4", *options]
    process = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("spec.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(1.0)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert err.strip().splitlines()[-1].startswith("pushforward: stopped")
    (entry,) = Archive(tmp_path).search()
    assert not entry.sealed


@pytest.mark.parametrize(
    ("number", "options"), [(signal.SIGTERM, []), (signal.SIGUSR1, ["--no-prefect"])]
)
def test_a_signal_is_one_sentence_and_the_training_goes_on(
    study: Study, by_verbs: Path, tmp_path: Path, options: list[str], number: int
) -> None:
    name, training = study.simulation.name, "training.steps=100000"
    shutil.copytree(by_verbs / name, tmp_path / name)
    arguments = [sys.executable, "-m", "pushforward.flows", "train", "smoke", *options]
    arguments += ["--root", str(tmp_path), "--set", training]
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("checkpoint.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert "Traceback" not in err
    assert f"({signal.Signals(number).name}); the same command" in err.strip().splitlines()[-1]
