"""Pages of clusters: what ships is valid, mistakes are one sentence, JSON gives the page again."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from pushforward.archive import Archive
from pushforward.flows import cli, engines
from pushforward.flows.clusters import KINDS, Cluster, Dask, Local, Slurm, cores, load, seconds
from pushforward.flows.options import cluster as chosen
from pushforward.flows.training_job import RESTARTS, SETUP, options, script
from pushforward.flows.usage import UsageError
from pushforward.study import Study

SHELF = resources.files("pushforward.catalogs") / "clusters"
PAGES = sorted(Path(one.name).stem for one in SHELF.iterdir() if one.name.endswith(".yaml"))


def page(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_page_of_every_kind_is_in_the_catalogue() -> None:
    assert {load(name).kind for name in PAGES} == {*KINDS}


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_of_the_catalogue_leaves_out_is_valid_too(name: str, tmp_path: Path) -> None:
    """Its comments are keys that a reader may take; all at once, but for an address."""
    text = SHELF.joinpath(f"{name}.yaml").read_text("utf-8")
    keys = re.sub(r"(?m)^( *)# (?=(?!address)\w+: )", r"\1", text)
    whole = load(page(tmp_path, keys))
    assert whole.kind == load(name).kind
    assert whole != load(name)


@pytest.mark.parametrize("name", PAGES)
def test_a_flow_is_given_a_page_as_json(name: str) -> None:
    one = load(name)
    assert TypeAdapter(Cluster).validate_python(one.model_dump(mode="json")) == one


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "kind: slrum",
            "kind: expected one of dask, local, slurm, got slrum; did you mean slurm?",
        ),
        ("workers: 3", "kind: expected one of dask, local, slurm, got none"),
        ("kind: local\nwrokers: 3", "wrokers: expected one of kind, workers, got wrokers"),
        ("kind: local\nworkers: 0", "workers: expected greater than or equal to 1, got 0"),
        ("kind: dask\nworkers: 2\naddress: tcp://a:1", "expected workers or an address, got 2"),
        ("kind: slurm\nblocks: {cores: 2, job: 3}", "blocks.job: expected one of cores, jobs"),
        ("kind: slurm\nblocks: {walltime: 2 h}", "blocks.walltime: expected a time as 4:00:00"),
        ("kind: slurm\ntraining: {walltime: 0:02:00}", "training.walltime: expected greater than"),
        ("kind: slurm\ntraining: {memory_per_core: 2 GB}", "memory_per_core: expected a size"),
        ("kind: slurm\npartition: a b", "partition: expected one word, got 'a b'"),
        ("kind: slurm\noptions: [qos=long]", "options.0: expected an option as --qos=long"),
        ("- kind: local", "expected named values, got ["),
        ("kind: [", "expected YAML, got"),
    ],
)
def test_a_mistake_is_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    path = page(tmp_path, text)
    with pytest.raises(ValueError, match=str(path)) as caught:
        load(path)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_page_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(FileNotFoundError, match=r"no cluster at slurn: .*did you mean slurm"):
        load("slurn")
    with pytest.raises(FileNotFoundError):  # a study is no page
        load("smoke")


@pytest.mark.parametrize(
    ("written", "meant"),
    [("04:00:00", 14400), ("12:00:00", 43200), ("1-00:00:00", 86400), ("90", 90)],
)
def test_times_are_read_as_they_are_meant(written: str, meant: int, tmp_path: Path) -> None:
    """YAML itself makes a number of 12:00:00."""
    text = f"kind: slurm\nblocks: {{walltime: {written}}}"
    read = load(page(tmp_path, text))
    assert isinstance(read, Slurm)
    assert read.blocks.walltime == meant
    assert seconds("12:00:00") == 43200 != seconds("12:00:01")


def test_the_command_line_takes_a_page_or_a_number() -> None:
    assert chosen(None, None) == Local()
    assert chosen(None, None).here == cores()
    assert chosen(3, None) == Local(workers=3)
    assert chosen(None, "dask") == Dask()
    for workers, given, why in ((3, "dask", "got 3 and dask"), (0, None, "got 0")):
        with pytest.raises(UsageError, match=why):
            chosen(workers, given)
    with pytest.raises(UsageError, match=r"--cluster: no cluster at nowhere"):
        chosen(None, "nowhere")


@pytest.mark.parametrize("verb", ["run", "simulate", "train", "generate", "evaluate"])
def test_a_page_that_is_wrong_starts_nothing(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, path = tmp_path / "runs", page(tmp_path, "kind: slurm\npartitoin: x")
    with pytest.raises(SystemExit) as left:
        cli.main([verb, "smoke", "--root", str(root), "--cluster", str(path)])
    assert left.value.code == 2
    assert "partitoin: expected one of" in capsys.readouterr().err
    assert not root.exists()


def test_without_its_packages_a_cluster_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, study: Study
) -> None:
    import sys

    from pushforward.simulation import simulate

    archive = Archive(tmp_path)
    for package, cluster in (("distributed", Dask()), ("dask_jobqueue", Slurm())):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            with pytest.raises(LookupError, match=r"install pushforward\[cluster\]") as caught:
                simulate(study.simulation, archive, map=engines.mapped(cluster))
        assert package.replace("_", "-") in str(caught.value)
    assert len(archive.missing(study.simulation)) == len(archive.blocks(study.simulation))


def test_a_training_job_is_the_template_with_the_pages_values(study: Study) -> None:
    template = SHELF.joinpath("train.sbatch").read_text("utf-8")
    assert template.count(SETUP) == template.count(RESTARTS) == 1
    written: dict[str, Any] = {
        "partition": "long",
        "account": "project",
        "options": ["--qos=high"],
        "setup": ["module load python", "source env"],
        "training": {
            "nodes": 2,
            "ranks_per_node": 4,
            "cores_per_rank": 3,
            "gpus_per_node": 4,
            "walltime": "1-02:00:00",
            "restarts": 7,
            "partition": "gpu",
            "options": ["--exclusive"],
        },
    }
    cluster = Slurm.model_validate(written)
    text = script(cluster)
    assert "\nmodule load python\nsource env\nrestarts=7 # after" in text
    assert "RESTARTS" not in text
    assert options(cluster, study.training, "/archive", Path("/jobs")) == [
        f"--job-name={study.training.name}",
        "--comment=/archive",
        f"--output=/jobs/{study.training.name}-%j.out",
        "--nodes=2",
        "--ntasks-per-node=4",
        "--cpus-per-task=3",
        "--gpus-per-node=4",
        "--partition=gpu",
        "--account=project",
        "--time=1-02:00:00",
        "--mem-per-cpu=2G",
        "--qos=high",
        "--exclusive",
    ]
