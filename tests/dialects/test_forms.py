"""Every declared form: its example runs, its name is found in a statement, and its page is current."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

import anserdb
from anserdb.engine.sql.dialects import DIALECTS, forms
from anserdb.engine.sql.dialects.form import Dialect, Form
from anserdb.engine.sql.dialects.rewrite import rewrite
from anserdb.engine.sql.locate import mentions
from anserdb.engine.sql.tokens import Text
from anserdb.udfs.functions import functions

DOCS = Path(__file__).parents[2] / "docs"
FORMS = [
    pytest.param(dialect, form, id=f"{dialect.name}-{form.names[0]}-{number}")
    for dialect in DIALECTS
    for number, form in enumerate(dialect.forms)
]


@pytest.mark.parametrize(("dialect", "form"), FORMS)
def test_its_example_is_rewritten_and_runs(dialect: Dialect, form: Form) -> None:
    with anserdb.connect(store=":memory:", llm_model="scripted", llm_embedding_model="scripted") as connection:
        spoken = rewrite(Text(form.example), connection._open_session())
        result = connection.sql(form.example)
        assert result is not None
        result.fetchall()
    assert spoken is not None
    assert spoken.sql != form.example


@pytest.mark.parametrize(("dialect", "form"), FORMS)
def test_it_needs_what_there_is(dialect: Dialect, form: Form) -> None:
    assert set(form.needs) <= set(functions())
    assert form.required <= len(form.parameters)


def test_every_name_is_noticed() -> None:
    assert [name for name in forms() if not mentions(f"select {name.lower()}(x)", {})] == []


def test_plain_names_are_ours() -> None:
    missing = [name for dialect in DIALECTS for name in dialect.same if name not in functions()]
    assert missing == []


def test_a_form_whose_function_is_missing_is_not_taken() -> None:
    without = SimpleNamespace(functions={"LLM_FILTER": functions()["LLM_FILTER"]})
    with anserdb.connect(store=":memory:", llm_model="scripted") as connection:
        session = connection._open_session()
        assert rewrite(Text("SELECT ai_gen('x')"), session) is not None
        assert rewrite(Text("SELECT ai_gen('x')"), without) is None  # type: ignore[arg-type]


def test_the_page_is_current() -> None:
    generator = runpy.run_path(str(DOCS / "generate_dialects.py"))
    assert (DOCS / "dialects.md").read_text(encoding="utf-8") == generator["page"](), "run make update"
