"""The examples in the docstrings of the Python door."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

import anserdb
from anserdb.engine.interfaces import connection, dbapi_types, duckdb_load, rows
from anserdb.engine.physical import arrow_errors, carried

MODULES = [anserdb, connection, dbapi_types, duckdb_load, rows, arrow_errors, carried]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_examples(module: ModuleType) -> None:
    results = doctest.testmod(module)
    assert results.attempted
    assert not results.failed
