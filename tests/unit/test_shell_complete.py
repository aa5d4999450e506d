"""Completion and colours at the prompt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

import anserdb
from anserdb.engine.interfaces.shell.complete import ShellCompleter
from anserdb.engine.interfaces.shell.highlight import lexer
from anserdb.engine.interfaces.shell.vocabulary import Names

COMMANDS = {".tables": "tables", ".timer": "time", ".help": "help", ".mode": "format", ".schema": "create"}


@pytest.fixture(scope="module")
def names() -> Iterator[Names]:
    with anserdb.connect(store=":memory:", llm_model="scripted") as connection:
        connection.sql("CREATE TABLE tickets (ticket_id INTEGER, body VARCHAR)")
        connection.sql("CREATE TABLE customers (customer_id INTEGER, tier VARCHAR)")
        connection.sql("CREATE SCHEMA old; CREATE TABLE old.orders (amount INTEGER)")
        connection.sql("CREATE MODEL mine (provider 'scripted')")
        yield Names(connection)


def offered(names: Names, text: str, after: str = "", asked: bool = True) -> dict[str, str]:
    """Candidate → meta."""
    event = CompleteEvent(completion_requested=asked, text_inserted=not asked)
    found = ShellCompleter(names, COMMANDS).get_completions(Document(text + after, len(text)), event)
    return {completion.text: completion.display_meta_text for completion in found}


def test_keywords_follow_the_case_that_is_typed(names: Names) -> None:
    assert "select" in offered(names, "sel")
    assert "SELECT" in offered(names, "SEL")


def test_semantic_functions_with_signature(names: Names) -> None:
    assert offered(names, "SELECT LLM_FIL")["LLM_FILTER("].startswith("LLM_FILTER(condition")
    assert offered(names, "SELECT llm_fil")["llm_filter("].startswith("LLM_FILTER(condition")


def test_tables_after_from(names: Names) -> None:
    assert set(offered(names, "SELECT * FROM ")) == {"tickets", "customers", "old.orders"}
    assert set(offered(names, "SELECT * FROM t")) == {"tickets"}
    assert set(offered(names, "SELECT * FROM old.")) >= {"old.orders"}


def test_columns_of_the_tables_in_the_statement(names: Names) -> None:
    found = offered(names, "SELECT t", " FROM tickets")
    assert found["ticket_id"] == "column of tickets"
    assert "tier" not in found
    assert set(offered(names, "SELECT c.", " FROM tickets t JOIN customers AS c")) == {"customer_id", "tier"}


def test_options_inside_a_semantic_call(names: Names) -> None:
    assert "on_error := " in offered(names, "SELECT llm_filter('is it (', body, on")
    assert "on_error := " not in offered(names, "SELECT llm_filter('x', body) AND lower(on")


def test_models_after_the_option(names: Names) -> None:
    assert {"'mine'", "'scripted'"} <= set(offered(names, "SELECT llm_filter('x', body, model := "))
    assert set(offered(names, "SELECT llm_filter('x', body, model := 'mi")) == {"'mine'"}
    assert set(offered(names, "SET llm_model = mi")) == {"'mine'"}


def test_settings_after_set(names: Names) -> None:
    found = offered(names, "SET llm_max")
    assert "llm_max_cost_usd" in found
    assert "US dollars" in found["llm_max_cost_usd"]
    assert all(name.startswith("llm_max") for name in found)


def test_dot_commands_and_their_arguments(names: Names) -> None:
    assert set(offered(names, ".t")) == {".tables", ".timer"}
    assert set(offered(names, ".schema ti")) == {"tickets"}
    assert set(offered(names, ".mode js")) == {"json", "jsonl"}
    assert set(offered(names, ".timer o")) == {"on", "off"}
    assert "LLM_FILTER" in offered(names, ".help llm_f")


def test_typing_a_letter_opens_no_menu(names: Names) -> None:
    assert offered(names, "s", asked=False) == {}
    assert "select" in offered(names, "se", asked=False)


def test_new_tables_are_offered_after_a_refresh() -> None:
    with anserdb.connect(store=":memory:") as connection:
        names = Names(connection)
        assert names.tables() == []
        connection.sql("CREATE TABLE fresh (a INTEGER)")
        names.refresh()
        assert names.tables() == ["fresh"]
        assert names.columns("fresh") == ["a"]
        assert names.columns("nowhere") == []


def styles(text: str) -> dict[str, str]:
    line = lexer().lex_document(Document(text))(0)
    return {part[1]: part[0] for part in line}


def test_semantic_functions_have_a_colour_of_their_own() -> None:
    found = styles("SELECT llm_filter('x', body), lower(body) FROM t -- why")
    assert found["llm_filter"].endswith("builtin")
    assert found["SELECT"].endswith("keyword")
    assert found["'x'"].endswith("string")
    assert found["-- why"].endswith("comment")
    assert found["lower"].endswith("name")


def test_dot_commands_are_coloured() -> None:
    assert styles(".tables x")[".tables"].endswith("decorator")
