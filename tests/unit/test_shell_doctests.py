"""The examples in the docstrings of the shell run."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["history", "live", "prompt", "scan", "screen", "table", "wrap"])
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"anserdb.engine.interfaces.shell.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
