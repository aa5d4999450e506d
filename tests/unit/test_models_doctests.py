"""The examples in the docstrings of the model layer run."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = (
    "backend",
    "base",
    "choices",
    "deterministic",
    "http_errors",
    "http_transport",
    "json_answer",
    "prices",
    "registry",
    "scripted",
    "vllm_server",
    "wrap.buckets",
    "wrap.limited",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"anserdb.udfs.models.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
