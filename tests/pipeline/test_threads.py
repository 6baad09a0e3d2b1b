"""One thread of torch, asked for by several threads of Python at once."""

from __future__ import annotations

import threading

import pytest
import torch

from pushforward.threads import one_thread


@pytest.fixture
def _two():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_two")
def test_it_is_given_back_also_after_an_error_and_when_nested() -> None:
    with one_thread(), one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2

    def fail() -> None:
        with one_thread():
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("_two")
def test_the_last_of_several_gives_back_what_the_first_found() -> None:
    inside, leave, seen = threading.Event(), threading.Event(), []

    def other() -> None:
        with one_thread():
            inside.set()
            leave.wait(5)
            seen.append(torch.get_num_threads())

    for _ in range(2):  # a thread that was left with one does not take that for what there was
        inside.clear()
        leave.clear()
        thread = threading.Thread(target=other)
        with one_thread():
            thread.start()
            inside.wait(5)
        leave.set()
        thread.join()
        with one_thread():
            pass
        assert torch.get_num_threads() == 2
    assert seen == [1, 1]
