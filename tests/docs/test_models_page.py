"""What ``docs/models.md`` shows runs, and what it counts is so."""

from __future__ import annotations

from pathlib import Path

import pytest

import anserdb
from anserdb.engine.sql.statements.twins import _FORMS
from anserdb.engine.store import queries
from tests.support.pages import Block, blocks, page
from tests.support.shop import make_shop

PAGE = page("docs/models.md")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANSER_LLM_MODEL", "scripted")
    return make_shop(tmp_path / "shop.duckdb")


@pytest.mark.parametrize("block", blocks(PAGE, "sql"), ids=lambda block: block.text[:20])
def test_sql_runs(block: Block, shop: Path) -> None:
    with anserdb.connect(shop, store=":memory:") as con:
        for statement in con.statements(block.text):
            result = con.sql(statement)
            if result is not None:
                assert result.arrow().num_columns > 0


@pytest.mark.parametrize("block", blocks(PAGE, "python"), ids=lambda block: block.text[:20])
def test_python_runs(block: Block) -> None:
    exec(compile(block.text, "models.md", "exec"), {})


def test_every_twin_is_named() -> None:
    assert [name for name in _FORMS if name.lower() not in PAGE] == []


def test_the_limits_are_the_codes() -> None:
    assert f"{queries.MOST_QUERIES:,} queries" in PAGE
    assert f"{queries.MOST_CHARS:,} characters" in PAGE
