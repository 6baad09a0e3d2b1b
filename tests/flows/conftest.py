"""One small study, run once as flows and once as plain verbs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushforward.study import Study


@pytest.fixture(scope="session")
def study() -> Study:
    return Study.load("smoke")


@pytest.fixture(scope="session")
def by_verbs(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of an archive that the verbs filled, in this process."""
    from pushforward import Archive, evaluate, generate, simulate, train
    from pushforward.report import report

    root = tmp_path_factory.mktemp("verbs")
    archive = Archive(root)
    simulate(study.simulation, archive)
    train(study.training, archive)
    generate(study.generation, archive)
    evaluate(study.evaluation, archive)
    report(study.evaluation, archive)
    return root


@pytest.fixture(scope="session")
def by_flows(study: Study, tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Path:
    """The root of an archive that the study's flow filled, with blocks in two processes."""
    from pushforward.flows import run
    from pushforward.flows.clusters import Local

    root = tmp_path_factory.mktemp("flows")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pushforward.floors.ALONE", 0)  # so small a study would be scored in one
        assert run(study, str(root), Local(workers=2)) == study.evaluation.name
    return root
