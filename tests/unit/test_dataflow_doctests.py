"""The examples in the runtime's docstrings run as written."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ["budget", "demand", "loop", "memo", "metering", "replies"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    module = importlib.import_module(f"anserdb.engine.dataflow.{name}")
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0
