"""``anser explain``: text, pictures, and what is said where there are none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import anserdb
from anserdb.engine.interfaces.explain_cli import app

QUERY = "SELECT LLM_CLASSIFY(i::VARCHAR, ['x', 'y']) AS b FROM range(50) r(i)"


def test_the_plan_is_printed_and_nothing_is_asked() -> None:
    said = CliRunner().invoke(app, [QUERY, "--set", "llm_model=scripted"])
    assert said.exit_code == 0
    assert "Call  1:LLM_CLASSIFY  model=scripted" in said.output


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    said = CliRunner().invoke(app, [QUERY, "--plot", str(tmp_path / "f.html")])
    assert said.exit_code == 1
    assert "pip install 'anserdb[plots]'" in said.stderr
    assert not (tmp_path / "f.html").exists()


@pytest.mark.parametrize("suffix", ["html", "png", "svg"])
def test_pictures_are_drawn(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("altair")
    pytest.importorskip("vl_convert")
    place, database = tmp_path / f"f.{suffix}", str(tmp_path / "d.duckdb")
    with anserdb.connect(database) as con:
        con.sql("CREATE MODEL m USING openai (model 'm', base_url 'http://127.0.0.1:9/v1', price_in 1, price_out 1)")
    said = CliRunner().invoke(app, [QUERY, "-d", database, "--plot", str(place), "--set", "llm_model=m"])
    assert said.exit_code == 0, said.stderr
    assert {"html": b"<!DOCTYPE html>", "png": b"PNG", "svg": b"<svg"}[suffix] in place.read_bytes()[:200]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([QUERY, "--plot", "f.gif"], 2, "f.gif ends in none of"),
        (["SELECT LLM_CLASIFY(1)"], 1, "LLM_CLASSIFY"),
        ([QUERY, "--set", "llm_modle=x"], 1, "llm_model"),
    ],
)
def test_mistakes_are_named(arguments: list[str], status: int, words: str) -> None:
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == status
    assert words in " ".join((said.stderr + said.output).split())
