"""What the README says is so: its commands exist, its links lead somewhere, its code runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import anserdb
from anserdb.udfs.functions import functions
from anserdb.udfs.models.weights_catalog import CATALOGUE
from tests.support.pages import ROOT, Block, blocks, local_links, page
from tests.support.shop import make_shop

README = page("README.md")
PYTHON = blocks(README, "python")
SQL = blocks(README, "sql")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with shop.duckdb, in which the scripted model is the default."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANSER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANSER_LLM_MODEL", "scripted")
    monkeypatch.setenv("ANSER_LLM_EMBEDDING_MODEL", "scripted")
    return make_shop(tmp_path / "shop.duckdb")


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.text.split("\n\n")[1].split("\n")[0][:30])
def test_python_runs(block: Block, shop: Path) -> None:
    names: dict[str, object] = {}
    try:
        exec(compile(block.text, "README.md", "exec"), names)
    finally:
        for value in names.values():
            if hasattr(value, "close"):
                value.close()


@pytest.mark.parametrize("block", SQL, ids=lambda block: block.text.split("\n")[0][:30])
def test_sql_runs(block: Block, shop: Path) -> None:
    with anserdb.connect(shop, store=":memory:") as connection:
        for statement in connection.statements(block.text):
            result = connection.sql(statement)
            if result is not None:
                assert result.arrow().num_columns > 0


def test_there_is_something_to_run() -> None:
    assert len(PYTHON) >= 3
    assert len(SQL) >= 3


def test_the_two_commands_are_there_and_are_targets() -> None:
    commands = [block.text.strip() for block in blocks(README, "sh")]
    assert commands[:2] == ["make demo", "make test"]
    targets = set(re.findall(r"^([\w-]+):", page("Makefile"), re.MULTILINE))
    assert {"demo", "test"} <= targets


def test_links_lead_somewhere() -> None:
    missing = [link for link in local_links(README) if not (ROOT / link).exists()]
    assert missing == []


def test_every_function_is_named() -> None:
    declared = {function.sql_name for function in functions().values()}
    assert set(re.findall(r"LLM_[A-Z_]+[A-Z]", README)) == declared


def test_the_table_of_models_is_the_catalogues() -> None:
    for name in ("small", "large"):
        weights = CATALOGUE[name]
        [row] = [line for line in README.splitlines() if line.startswith(f"| `{name}`")]
        assert f"{weights.size // 1_000_000:,} MB" in row
        assert weights.licence in row
        assert all(word in row for word in weights.title.replace(",", "").split())


def test_the_picture_is_a_query_that_runs(shop: Path) -> None:
    """The shell's picture: the statement after the prompt, up to its semicolon."""
    [picture, *_] = blocks(README, "text")
    match = re.search(r"^anser> (.*?;)$", picture.text, re.MULTILINE | re.DOTALL)
    assert match, "no statement after a prompt"
    statement = re.sub(r"^ *\.\.\.>? ?", "", match.group(1), flags=re.MULTILINE)
    with anserdb.connect(shop, store=":memory:") as connection:
        result = connection.sql(statement)
        assert result is not None
        assert result.arrow().num_columns > 1
