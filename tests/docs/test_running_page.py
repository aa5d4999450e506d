"""What ``docs/running.md`` shows runs, and what it counts is so."""

from __future__ import annotations

from pathlib import Path

import pytest

import anserdb
from anserdb.engine.settings import Settings
from anserdb.engine.store import upkeep
from tests.support.pages import Block, blocks, page
from tests.support.shop import make_shop

PAGE = page("docs/running.md")


@pytest.fixture
def con(tmp_path: Path) -> anserdb.Connection:
    con = anserdb.connect(make_shop(tmp_path / "shop.duckdb"), store=":memory:", llm_model="priced")
    con.sql("CREATE MODEL priced (PROVIDER scripted, PRICE_IN 0.4, PRICE_OUT 1.6)")
    return con


@pytest.mark.parametrize("block", blocks(PAGE, "sql"), ids=lambda block: block.text[:20])
def test_sql_runs(block: Block, con: anserdb.Connection) -> None:
    with con:
        for statement in con.statements(block.text):
            result = con.sql(statement)
            if result is not None:
                assert result.arrow().num_columns > 0


@pytest.mark.parametrize("block", blocks(PAGE, "python"), ids=lambda block: block.text[:20])
def test_python_runs(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block.text, "running.md", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-1] == "1:LLM_COMPLETE 20 20 20 0.0 0.0"


def test_every_setting_is_listed_with_its_default() -> None:
    for name, field in Settings.model_fields.items():
        default = field.get_default()
        shown = "NULL" if default is None else repr(default).lower() if isinstance(default, bool) else repr(default)
        assert f"| `{name}` | {shown} | {field.description} |" in PAGE
    assert PAGE.count("| `llm_") == len(Settings.model_fields)


def test_the_limits_are_the_codes() -> None:
    assert f"newest {upkeep.MOST_CALLS:,} calls and {upkeep.MOST_ERRORS:,} row errors" in PAGE
    assert f"steps of {upkeep.STEP} answers" in PAGE
    assert upkeep.COARSE_S == 600
    assert "known to ten minutes" in PAGE
