"""A flow is its verb, bit for bit; a second run maps nothing; Prefect shows what was made."""

from __future__ import annotations

import base64
import io
import logging
from pathlib import Path

import pytest
import torch
from PIL import Image
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    TaskRunFilter,
    TaskRunFilterName,
)
from prefect.client.schemas.objects import Artifact

from pushforward.archive import WEIGHTS, Archive
from pushforward.evaluation import SCORES_FILE, restore
from pushforward.report import FILE
from pushforward.study import Study

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.mark.parametrize("kind", ["simulation", "generation"])
def test_arrays_of_flow_and_verb_are_identical(
    study: Study, by_verbs: Path, by_flows: Path, kind: str
) -> None:
    a, b = (Archive(root).open(getattr(study, kind)).load() for root in (by_verbs, by_flows))
    assert a.sizes["member"] == getattr(study, kind).members
    assert a.identical(b)


def test_weights_of_flow_and_verb_are_identical(
    study: Study, by_verbs: Path, by_flows: Path
) -> None:
    a, b = (Archive(r).read_tensors(study.training, WEIGHTS)[0] for r in (by_verbs, by_flows))
    assert a.keys() == b.keys()
    assert a
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_scores_of_flow_and_verb_are_identical(
    study: Study, by_verbs: Path, by_flows: Path
) -> None:
    a, b = (
        restore(Archive(root).read_json(study.evaluation, SCORES_FILE))
        for root in (by_verbs, by_flows)
    )
    assert a.equals(b)


def test_the_report_is_there(study: Study, by_flows: Path) -> None:
    page = Archive(by_flows).file(study.evaluation, FILE).read_text("utf-8")
    assert study.title in page


def test_a_second_run_maps_nothing(
    study: Study, by_flows: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from pushforward.flows import run
    from pushforward.flows.clusters import Local

    def stamps() -> dict[str, int]:
        return {
            str(path.relative_to(by_flows)): path.stat().st_mtime_ns
            for path in by_flows.rglob("*")
            if path.is_file() and path.name != FILE
        }

    before, tasks = stamps(), count_block_tasks()
    caplog.set_level(logging.INFO, logger="pushforward")
    run(study, str(by_flows), Local(workers=2))
    assert stamps() == before
    assert count_block_tasks() == tasks
    for spec in study.specs:
        assert any(spec.name in line and "nothing to do" in line for line in caplog.messages), (
            spec.name
        )


def test_blocks_of_a_flow_are_counted(study: Study, by_flows: Path) -> None:
    """Negative control of the test above: task runs of blocks can be seen."""
    assert count_block_tasks() >= len(Archive(by_flows).blocks(study.simulation)) > 1


def test_the_scores_are_a_table_artifact(study: Study, by_flows: Path) -> None:
    artifact = read_artifact(f"{study.evaluation.name}-scores")
    assert artifact.type == "table"
    assert "log_spectral_distance" in str(artifact.data)


def test_the_report_is_an_artifact_with_a_link(study: Study, by_flows: Path) -> None:
    page = Archive(by_flows).file(study.evaluation, FILE).resolve()
    artifact = read_artifact(f"{study.evaluation.name}-report")
    assert artifact.type == "markdown"
    assert page.as_uri() in str(artifact.data)
    assert page.as_uri() in str(read_artifact(f"{study.evaluation.name}-link").data)


def test_fields_are_an_image_artifact(study: Study, by_flows: Path) -> None:
    artifact = read_artifact(f"{study.evaluation.name}-samples")
    assert artifact.type == "image"
    head, _, data = str(artifact.data).partition(",")
    assert head == "data:image/png;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.size == (5 * 128 + 4 * 4, 2 * 128 + 4)  # members; solver and surrogate
    assert len(picture.getcolors(2**20) or ()) > 50


@pytest.mark.parametrize("kind", ["simulation", "generation"])
def test_blocks_have_a_progress_artifact(study: Study, by_flows: Path, kind: str) -> None:
    artifact = read_artifact(f"{getattr(study, kind).name}-blocks")
    assert artifact.type == "progress"
    assert artifact.data == 100.0


def test_a_missing_upstream_is_the_verbs_sentence(study: Study, tmp_path: Path) -> None:
    from pushforward.flows import generate

    with pytest.raises(LookupError, match=rf"{study.training.name} is not in .*train\("):
        generate(study.generation, str(tmp_path))


def read_artifact(key: str) -> Artifact:
    """The newest artifact under a key."""
    chosen = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=chosen)
    assert found, f"no artifact {key}"
    return max(found, key=lambda artifact: str(artifact.created))


def count_block_tasks() -> int:
    """How many task runs of blocks Prefect has written down, once that number stands still."""
    import time

    chosen = TaskRunFilter(name=TaskRunFilterName(like_=" block "))
    counts = [-1]
    with get_client(sync_client=True) as client:
        while True:
            counts.append(len(client.read_task_runs(task_run_filter=chosen, limit=200)))
            if counts[-1] == counts[-2]:
                return counts[-1]
            time.sleep(1.5)
