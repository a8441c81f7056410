"""What all tests share."""

import re
import threading

import pytest

from copydyn.refusal import BadType, BadValue, Refusal


@pytest.fixture(autouse=True)
def _a_wide_screen(monkeypatch):
    """Print as wide as can be, wherever the tests run."""
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def refuses():
    """Assert that a call is refused in one sentence of the right kind which names the fault."""

    def check(call, kind: type[Exception], names: str) -> str:
        with pytest.raises(Refusal) as caught:
            call()
        sentence = str(caught.value)
        assert isinstance(caught.value, kind)
        assert isinstance(caught.value, {ValueError: BadValue, TypeError: BadType}[kind])
        assert "\n" not in sentence
        assert sentence.endswith(".")
        assert re.search(names, sentence), sentence
        return sentence

    return check


@pytest.fixture
def unthreaded():
    """Wait for the threads of earlier tests: after Ctrl-C the command ends the process where some cannot be stopped."""
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
