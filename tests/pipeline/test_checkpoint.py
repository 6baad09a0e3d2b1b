"""A checkpoint is what was saved, whole, of this training and these data, or it is refused."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pushforward.archive import Archive
from pushforward.checkpoint import Checkpoint, State
from pushforward.fingerprint import data, fingerprint, verify
from pushforward.shelf import CHECKPOINT
from pushforward.simulation import simulate
from pushforward.spec import Training
from pushforward.study import Study


@pytest.fixture(scope="module")
def training() -> Training:
    return Study.load("smoke").training


@pytest.fixture
def stored(training: Training, archive: Archive) -> Archive:
    simulate(training.simulation, archive)
    archive.create(training)
    return archive


def begun(value: float = 1.0) -> State:
    """Two parameters after one step of AdamW."""
    parameters = [torch.nn.Parameter(torch.full(shape, value)) for shape in ((3, 2), (4,))]
    optimizer = torch.optim.AdamW(parameters, lr=0.1, fused=True)
    state = State(parameters, [p.detach().clone() for p in parameters], optimizer)
    for parameter in parameters:
        parameter.grad = parameter.detach() * torch.arange(parameter.numel()).view_as(parameter)
    state.advance(0.1)
    state.losses = [0.1, 0.7]
    return state


def made_of(training: Training, archive: Archive, state: State) -> dict[str, Any]:
    return fingerprint(training, archive, state.parameters, ranks=1)


def saved(training: Training, archive: Archive) -> State:
    state = begun()
    with Checkpoint(training, archive, made_of(training, archive, state)) as checkpoint:
        checkpoint.save(state)
    return state


def loaded(training: Training, archive: Archive, /, **changes: Any) -> State:
    state = begun(5.0)
    own = made_of(training, archive, state) | changes
    with Checkpoint(training, archive, own) as checkpoint:
        assert checkpoint.load(state)
    return state


def test_what_is_loaded_is_what_was_saved(training: Training, stored: Archive) -> None:
    state, other = saved(training, stored), loaded(training, stored)
    assert (other.step, other.losses) == (1, [0.1, 0.7])
    for name, tensor in state.tensors().items():
        assert torch.equal(tensor, other.tensors()[name]), name
    for one in (state, other):  # and goes on alike: the optimiser has its moments
        for parameter in one.parameters:
            parameter.grad = torch.ones_like(parameter)
        one.advance(0.05)
    for a, b in zip(state.parameters, other.parameters, strict=True):
        assert torch.equal(a, b)


def test_moments_that_are_there_before_the_first_step_change_nothing() -> None:
    state, plain = begun(), torch.nn.Parameter(torch.full((3, 2), 1.0))
    plain.grad = torch.arange(6.0).view(3, 2)
    other = torch.nn.Parameter(torch.full((4,), 1.0))
    other.grad = torch.arange(4.0)
    torch.nn.utils.clip_grad_norm_([plain, other], 1.0)
    torch.optim.AdamW([plain, other], lr=0.1, fused=True).step()
    assert torch.equal(state.parameters[0], plain)


def test_the_loop_goes_on_while_a_copy_is_stored(
    training: Training, stored: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    may, write = threading.Event(), stored.write_tensors

    def slow(*arguments: Any) -> None:
        assert may.wait(60)
        write(*arguments)

    monkeypatch.setattr(stored, "write_tensors", slow)
    state = begun()
    before = {name: tensor.clone() for name, tensor in state.tensors().items()}
    with Checkpoint(training, stored, made_of(training, stored, state)) as checkpoint:
        checkpoint.save(state)  # the disk has not even begun
        state.advance(0.1)
        state.losses.append(9.0)
        may.set()
    other = loaded(training, stored)
    assert (other.step, other.losses) == (1, [0.1, 0.7])
    assert not torch.equal(before["0.parameter"], state.tensors()["0.parameter"])
    for name, tensor in before.items():
        assert torch.equal(tensor, other.tensors()[name]), name


@pytest.mark.parametrize("name", ["0.parameter", "1.average", "0.exp_avg_sq"])
def test_what_is_no_number_is_not_stored(training: Training, stored: Archive, name: str) -> None:
    kept, state = saved(training, stored), begun()
    state.tensors()[name].view(-1)[1] = torch.nan
    with (
        pytest.raises(FloatingPointError, match="expected finite weights, got others at step 1;"),
        Checkpoint(training, stored, made_of(training, stored, state)) as checkpoint,
    ):
        checkpoint.save(state)
    other = loaded(training, stored)  # the one before is still there
    assert torch.equal(other.tensors()[name], kept.tensors()[name])


def test_a_disk_that_refuses_is_told(
    training: Training, stored: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError("expected to store it, got a full disk; free some space")

    monkeypatch.setattr(stored, "write_tensors", full)
    state = begun()
    with (
        pytest.raises(OSError, match="a full disk"),
        Checkpoint(training, stored, made_of(training, stored, state)) as checkpoint,
    ):
        checkpoint.save(state)


def test_the_first_error_is_the_one_to_tell(
    training: Training, stored: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError("expected to store it, got a full disk; free some space")

    def leave() -> None:
        with Checkpoint(training, stored, made_of(training, stored, begun())) as checkpoint:
            checkpoint.save(begun())
            raise KeyboardInterrupt

    monkeypatch.setattr(stored, "write_tensors", full)
    with pytest.raises(KeyboardInterrupt):
        leave()


@pytest.mark.parametrize("key", ["training", "data", "network"])
def test_a_checkpoint_of_something_else_is_refused(
    training: Training, stored: Archive, key: str
) -> None:
    saved(training, stored)
    with pytest.raises(ValueError, match=rf"of {key} other, got one of .*; remove .* to train"):
        loaded(training, stored, **{key: "other"})


def test_another_way_to_round_is_said(
    training: Training, stored: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    saved(training, stored)
    with caplog.at_level("INFO"):
        loaded(training, stored)
        assert not caplog.messages
        loaded(training, stored, threads=7, ranks=3)
    (said,) = caplog.messages
    assert "expected threads 1, ranks 1 as before, got 7, 3" in said


def flip(content: bytes) -> bytes:
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


@pytest.mark.parametrize(
    "damage", [flip, lambda content: content[: len(content) // 2], lambda _: b"", lambda c: c[9:]]
)
def test_a_damaged_checkpoint_is_refused(
    training: Training, stored: Archive, damage: Callable[[bytes], bytes]
) -> None:
    saved(training, stored)
    path = stored.file(training, CHECKPOINT)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        OSError, match=r"expected a whole checkpoint in .* remove it to train anew"
    ):
        loaded(training, stored)


def test_data_are_known_by_the_blocks_that_are_read(
    training: Training, stored: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members 0..47 of blocks of 16: the first three of five."""
    manifest = stored.manifest(training.simulation)
    before = data(training, stored)
    monkeypatch.setattr(stored, "manifest", lambda spec: manifest)
    assert data(training, stored) == before
    manifest["blocks"][3]["arrays"]["vorticity"] = "other"
    assert data(training, stored) == before
    manifest["blocks"][2]["arrays"]["vorticity"] = "other"
    assert data(training, stored) != before


def test_a_kernel_that_rounds_otherwise_is_told(
    training: Training, stored: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = made_of(training, stored, begun())
    assert verify(before, made_of(training, stored, begun()), Path("checkpoint")) == ""
    if before["kernel"] == "torch":
        pytest.skip("no compiled kernel here")
    monkeypatch.setenv("PUSHFORWARD_KERNEL", "torch")
    told = verify(before, made_of(training, stored, begun()), Path("checkpoint"))
    assert f"expected kernel {before['kernel']} as before, got torch" in told
