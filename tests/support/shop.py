"""The examples' own shop as a database file, for pages whose code blocks run on it."""

from __future__ import annotations

import runpy
from pathlib import Path

import duckdb

from .pages import ROOT


def make_shop(path: Path) -> Path:
    """``customers``, ``orders`` and ``tickets`` in a new file, by the demo's own script."""
    script = runpy.run_path(str(ROOT / "sql_examples" / "reviews.py"))
    with duckdb.connect(str(path)) as connection:
        script["make_shop"](connection)
    return path
