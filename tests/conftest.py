"""What all tests share."""

import re

import pytest

from copydyn.refusal import BadType, BadValue, Refusal


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
