"""Property tests draw the same examples in every run of `make test`; HYPOTHESIS_PROFILE=default looks for new ones."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# The simulator of model servers is benchmarks/server, which pytest does not find by itself.
sys.path.append(str(Path(__file__).parents[1]))

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """See :mod:`tests.support.backoff`."""
    from tests.support.backoff import shorten_backoff  # found by the path above

    shorten_backoff(monkeypatch, 50)
