"""``CREATE``, ``ALTER``, ``DROP``, ``SHOW`` for models and prompts, and their function twins, on a connection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import anserdb
from anserdb.engine.store import Store
from anserdb.udfs.models.scripted import ScriptedModel


@pytest.fixture
def con() -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=":memory:", llm_model="scripted") as con:
        yield con


def rows(con: anserdb.Connection, query: str) -> list[tuple[Any, ...]]:
    result = con.sql(query)
    assert result is not None
    return result.fetchall()


def model(con: anserdb.Connection, name: str) -> tuple[str, str] | None:
    """Provider and options of a model."""
    found = rows(con, f"SELECT provider, options FROM llm_models() WHERE name = '{name}'")
    return found[0] if found else None


def refused(con: anserdb.Connection, statement: str) -> str:
    with pytest.raises(anserdb.Error) as caught:
        con.sql(statement)
    return str(caught.value)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE MODEL m USING llama (model 'small', context 2048, threads 2)",
        "CREATE MODEL m (PROVIDER llamacpp, PATH 'small', CONTEXT_TOKENS 2048, THREADS 2)",
        "CALL llm_create_model('m', {provider: 'llama', model: 'small', context: 2048, threads: 2})",
    ],
)
def test_every_form_keeps_the_same_model(con: anserdb.Connection, statement: str) -> None:
    con.sql(statement)
    assert model(con, "m") == ("llamacpp", '{"context_tokens": 2048, "path": "small", "threads": 2}')


def test_every_provider_takes_prices_and_limits(con: anserdb.Connection) -> None:
    for provider in ("openai", "llama", "scripted", "vllm"):
        where = "base_url 'http://127.0.0.1:1/v1', " if provider == "vllm" else ""
        con.sql(
            f"CREATE MODEL m_{provider} USING {provider} ({where}price_in 0.4, price_out 1.6, concurrency 2, rpm 60, tpm 9000)"
        )
        found = model(con, f"m_{provider}")
        assert found is not None
        assert '"price_in": 0.4' in found[1]
        assert '"rpm": 60.0' in found[1]


def test_limits_hold_for_any_model(con: anserdb.Connection) -> None:
    con.sql("CREATE MODEL slow USING scripted (delay_ms 1, concurrency 2)")
    result = con.sql("SELECT LLM_COMPLETE('x', 'a' || i, model := 'slow') FROM range(12) r(i)")
    assert result is not None
    assert len(result.fetchall()) == 12
    pool = con._open_session().models
    held: Any = pool.open("slow")[0]
    while not isinstance(held, ScriptedModel):
        held = held._model
    assert held.max_in_flight == 2


def test_alter_changes_adds_and_takes_away(con: anserdb.Connection) -> None:
    con.sql("CREATE MODEL m USING openai (model 'x', price_in 1, rpm 10)")
    con.sql("ALTER MODEL M SET (price_in 2, context 4096, rpm NULL)")
    assert model(con, "m") == ("openai", '{"context_tokens": 4096, "model": "x", "price_in": 2.0}')
    con.sql("CALL llm_alter_model('m', {context: NULL, price_in: 3})")
    assert model(con, "m") == ("openai", '{"model": "x", "price_in": 3.0}')
    con.sql("ALTER MODEL m RENAME TO other")
    assert model(con, "m") is None
    con.sql("CALL llm_alter_model('OTHER', rename_to := 'm')")
    assert model(con, "m") == ("openai", '{"model": "x", "price_in": 3.0}')


def test_an_altered_model_answers_as_it_is_now(con: anserdb.Connection) -> None:
    con.sql("CREATE MODEL m USING scripted (seed 1)")
    asked = "SELECT LLM_COMPLETE('x', 'a', model := 'm')"
    first = rows(con, asked)
    con.sql("ALTER MODEL m SET (seed 2)")
    assert rows(con, asked) != first
    con.sql("ALTER MODEL m SET (seed 1)")
    assert rows(con, asked) == first


def test_if_exists_and_replace(con: anserdb.Connection) -> None:
    con.sql("CREATE MODEL m USING scripted (seed 1)")
    con.sql("CREATE MODEL IF NOT EXISTS m USING scripted (seed 2)")
    assert model(con, "m") == ("scripted", '{"seed": 1}')
    con.sql("CREATE OR REPLACE MODEL m USING scripted (seed 3)")
    assert model(con, "m") == ("scripted", '{"seed": 3}')
    con.sql("DROP MODEL m")
    con.sql("DROP MODEL IF EXISTS m")
    con.sql("CALL llm_drop_model('m', if_exists := true)")
    assert model(con, "m") is None


@pytest.mark.parametrize(
    ("statement", "words", "place"),
    [
        ("CREATE MODEL m USING opnai (model 'x')", "Did you mean openai?", "opnai"),
        ("CREATE MODEL m (PROVIDER opnai, MODEL 'x')", "Did you mean openai?", "PROVIDER opnai"),
        ("CREATE MODEL m USING openai (modl 'x')", "no option modl. Did you mean model?", "modl '*'"),
        ("CREATE MODEL m USING openai (model 'x', rpm 0)", "a number above 0", "rpm 0"),
        ("ALTER MODEL mine SET (modl 'x')", "Did you mean model?", "modl '*'"),
        ("ALTER MODEL mine SET (provider vllm)", "provider stays", "provider vllm"),
        ("CALL llm_create_model('m', {provider: 'openai', modl: 'x'})", "Did you mean model?", "{provider: '******'"),
        ("CREATE MODEL m USING openai (model 'sk-proj-abcdefghijklmnop')", "seems to hold a key", "model '****"),
        ("ALTER MODEL mine SET (model 'sk-proj-abcdefghijklmnop')", "seems to hold a key", "model '****"),
        ("CREATE PROMPT \"a b\" AS 'x'", "no blanks, quotes or @", '"a b"'),
    ],
)
def test_mistakes_show_the_place_and_the_nearest(
    con: anserdb.Connection, statement: str, words: str, place: str
) -> None:
    con.sql("CREATE MODEL mine USING openai (model 'x')")
    with pytest.raises(anserdb.BindError) as caught:
        con.sql(statement)
    assert words in str(caught.value)
    position = caught.value.position
    assert position is not None
    assert position.sql[position.start : position.end].startswith(place)


def test_what_cannot_be_done_says_why(con: anserdb.Connection) -> None:
    con.register_model("own", ScriptedModel())
    con.sql("CREATE MODEL m USING scripted")
    con.sql("CREATE MODEL n USING scripted")
    assert "exists" in refused(con, "CREATE MODEL m USING scripted")
    assert "'n' exists" in refused(con, "ALTER MODEL m RENAME TO n")
    assert "Did you mean n or m?" in refused(con, "DROP MODEL nm")
    assert "Did you mean" in refused(con, "ALTER MODEL scriptd SET (seed 1)")
    for statement in ("DROP MODEL small", "ALTER MODEL small SET (threads 1)", "ALTER MODEL small RENAME TO s"):
        assert "small is built in and cannot be" in refused(con, statement)
    for statement in (
        'CREATE MODEL "sk-proj-abcdefgh01" USING scripted',
        'ALTER MODEL m RENAME TO "sk-proj-abcdefgh01"',
    ):
        assert "name seems to be a key" in refused(con, statement)
    assert "registered from Python" in refused(con, "DROP MODEL own")


def test_prompts_have_versions(con: anserdb.Connection) -> None:
    con.sql("CREATE PROMPT rude AS 'is it rude?'")
    assert "makes version 2" in refused(con, "CREATE PROMPT Rude AS 'is it?'")
    con.sql("CREATE PROMPT IF NOT EXISTS rude AS 'is it?'")
    con.sql("CREATE OR REPLACE PROMPT RUDE AS 'is {body} rude?'")
    con.sql("CREATE OR REPLACE PROMPT rude AS 'is {body} rude?'")  # the same again is no new version
    con.sql("CALL llm_create_prompt('kind', 'is it kind?')")
    assert rows(con, "SELECT name, version, text, current FROM llm_prompts()") == [
        ("kind", 1, "is it kind?", True),
        ("rude", 2, "is {body} rude?", True),
        ("rude", 1, "is it rude?", False),
    ]
    assert [row[:2] for row in rows(con, "SHOW PROMPTS")] == [("kind", 1), ("rude", 2)]
    con.sql("DROP PROMPT rude")
    con.sql("CALL llm_drop_prompt('kind')")
    assert rows(con, "SHOW PROMPTS") == []
    assert "There is no prompt rude" in refused(con, "DROP PROMPT rude")


def test_statements_take_parameters(con: anserdb.Connection) -> None:
    con.sql("CREATE PROMPT p AS ?", ["it's {body}"])
    con.sql("CALL llm_create_prompt($name, $words)", {"name": "q", "words": "which?"})
    con.sql("CALL llm_create_model(?, ?)", ["m", {"provider": "scripted", "seed": 3}])
    assert rows(con, "SELECT name, text FROM llm_prompts()") == [("p", "it's {body}"), ("q", "which?")]
    assert model(con, "m") == ("scripted", '{"seed": 3}')
    with pytest.raises(anserdb.ProgrammingError, match="no value"):
        con.sql("CALL llm_drop_prompt(?, ?)", ["p"])


def test_models_and_prompts_outlive_the_connection(tmp_path: Path) -> None:
    for _ in range(2):
        with anserdb.connect(store=tmp_path / "s.anser", llm_model="scripted") as con:
            con.sql("CREATE MODEL IF NOT EXISTS m USING scripted (seed 1)")
            con.sql("CREATE OR REPLACE PROMPT p AS 'x'")
            assert rows(con, "SELECT version, text FROM llm_prompts()") == [(1, "x")]
    with Store.open(tmp_path / "s.anser") as store:
        assert [m.name for m in store.models()] == ["m"]


def test_a_secret_named_like_our_functions_is_duckdbs(con: anserdb.Connection) -> None:
    con.sql("CREATE SECRET llm_key (TYPE http, BEARER_TOKEN 'abc')")
    assert rows(con, "SELECT name FROM duckdb_secrets()") == [("llm_key",)]
    con.sql("DROP SECRET llm_key")
    assert rows(con, "SELECT name FROM duckdb_secrets()") == []
