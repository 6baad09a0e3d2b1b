"""What a deployment asks of its caller; a real one is in end_to_end/test_deployments.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from pushforward.archive import Archive
from pushforward.flows import deployments
from pushforward.flows.clusters import Cluster, Slurm
from pushforward.flows.deployments import Schedule, asked, deploy
from pushforward.flows.study import grow
from pushforward.growth import grown
from pushforward.simulation import simulate
from pushforward.study import Study
from pushforward.variants import family


def test_a_schedule_is_one_of_two() -> None:
    assert Schedule(cron="0 2 * * *").options() == {"cron": "0 2 * * *"}
    assert Schedule(interval=60).options() == {"interval": 60}
    assert Schedule().options() == {}
    with pytest.raises(ValueError, match="leave one out"):
        Schedule(cron="0 2 * * *", interval=60)
    with pytest.raises(ValueError, match="at least 1 second"):
        Schedule(interval=0)


def test_without_a_lasting_server_it_says_how_to_start_one(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nowhere:
        class api:
            url = None

    monkeypatch.setattr(deployments, "get_current_settings", lambda: Nowhere)
    with pytest.raises(ConnectionError, match="prefect server start"):
        deploy(study, "runs", "lab", name="smoke")


@pytest.mark.usefixtures("prefect_server")
def test_a_deployment_holds_the_study_an_absolute_archive_and_one_place(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.client.orchestration import get_client

    class Somewhere:
        class api:
            url = "the test's"

    monkeypatch.setattr(deployments, "get_current_settings", lambda: Somewhere)
    for _ in range(2):  # registering again changes it
        name = deploy(
            study,
            "runs",
            "lab",
            name="s",
            schedule=Schedule(cron="0 2 * * *"),
            cluster=Slurm(partition="long"),
            paused=True,
        )
    assert name == "study/s"
    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name(name)
    assert Study.model_validate(found.parameters["study"]) == study
    assert Path(found.parameters["root"]).is_absolute()
    cluster = TypeAdapter(Cluster).validate_python(found.parameters["cluster"])
    assert isinstance(cluster, Slurm)
    assert cluster.partition == "long"
    assert Path(cluster.folder).is_absolute()
    assert found.global_concurrency_limit is not None
    assert found.global_concurrency_limit.limit == 1
    assert found.entrypoint == "pushforward.flows.study.run"
    assert found.paused
    assert len(found.schedules) == 1


def test_a_deployment_knows_where_files_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).resolve().parents[2] / "catalogs" / "seeds" / "ddo_mnist_sdf.yaml"
    for given, kept in (("mine", str(tmp_path / "mine")), ("https://a.org/b", "https://a.org/b")):
        study = family(page, [f"simulation.location={given}"])["64"]
        assert asked(study)["study"]["simulation"]["location"] == kept
        assert asked(study, by=64)["simulation"]["location"] == kept
        again = Study.model_validate(asked(study)["study"])
        assert again.simulation.location == kept
        assert again.evaluation.name == study.evaluation.name
    secret = family(page, ["simulation.location=https://me:word@a.org/b"])["64"]
    with pytest.raises(ValueError, match="without credentials") as refused:
        asked(secret)
    assert "word" not in str(refused.value)
    home = family(page, ["simulation.location=~/b"])["64"]
    assert asked(home)["study"]["simulation"]["location"] == str(Path.home() / "b")
    assert "location" not in asked(family(page)["64"])["study"]["simulation"]


def test_a_simulation_grows_by_whole_blocks_once_it_is_complete(
    study: Study, tmp_path: Path
) -> None:
    archive, simulation = Archive(tmp_path), study.simulation
    assert grown(simulation, archive, 5) == simulation
    simulate(simulation, archive)
    larger = grown(simulation, archive, 5)
    most = -(-(simulation.members + 5) // simulation.block) * simulation.block
    assert larger.members == most
    archive.create(larger)
    assert grown(simulation, archive, 5) == larger  # it was begun
    with pytest.raises(ValueError, match="at least 1 member"):
        grown(simulation, archive, 0)


@pytest.mark.usefixtures("prefect_server")
def test_the_flow_that_grows_takes_what_is_there(study: Study, tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    first = grow(study.simulation, 8, str(tmp_path))
    second = grow(study.simulation, 8, str(tmp_path))
    assert first == study.simulation.name != second
    made = [archive.manifest(name)["blocks"][0]["time"] for name in (first, second)]
    assert made[0] == made[1]
