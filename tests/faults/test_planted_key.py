"""A key in the environment is sent to its server, and is found nowhere else, whatever happens."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import stamina

import anserdb
from tests.support.doors import QUERY, child, connect
from tests.support.loopback import Fault, LoopbackServer

KEYS = ["sk-planted-0123456789abcdefghij", "neither.a-shape_anyone+knows=="]
VIEWS = (
    "llm_calls",
    "llm_errors",
    "llm_usage",
    "llm_models",
    "llm_prompts",
    "llm_settings",
    "llm_stage_trace",
    "llm_statistics",
)


@pytest.fixture(autouse=True)
def no_backoff() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


def everything(con: anserdb.Connection) -> str:
    """What a user can look at."""
    shown = [repr(con), repr(con.settings), str(con.settings.model_dump()), con.explain(QUERY)]
    for view in VIEWS:
        result = con.sql(f"SELECT * FROM {view}()")
        assert result is not None
        shown.append(repr(result.fetchall()))
    for statement in ("SHOW MODELS", "SHOW PROMPTS"):
        result = con.sql(statement)
        assert result is not None
        shown.append(repr(result.fetchall()))
    return "\n".join(shown)


def files(folder: Path) -> bytes:
    """What lies on the disk."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


FAULTS = {
    "fine": None,
    "refused": Fault(401, message="Incorrect API key provided: {authorization}."),
    "echoed": Fault(400, message="bad header Authorization: {authorization} in your request"),
    "broken": Fault(500, message="internal error for {authorization}"),
    "limited": Fault(429, message="slow down, {authorization}"),
    "dropped": Fault("drop"),
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("on_error", ["null", "fail"])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_key_is_nowhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    on_error: str,
    key: str,
) -> None:
    monkeypatch.setenv("PLANTED_KEY", key)
    caplog.set_level("DEBUG")
    told = ""
    with (
        LoopbackServer(fault=lambda *_: FAULTS[fault]) as server,
        connect(server, tmp_path / "s.anser", llm_on_error=on_error, llm_max_retries=1) as con,
    ):
        result = con.sql(QUERY)
        assert result is not None
        try:
            told += repr(result.fetchall())
        except anserdb.Error as error:
            told += "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
        told += repr(result) + repr(result.notices) + repr(result.progress) + result.explain() + everything(con)
        assert key in server.stats.headers[0]["Authorization"]
    assert key not in told
    assert key not in caplog.text
    assert key.encode() not in files(tmp_path)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_key_in_a_duckdb_secret_is_nowhere_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: str, key: str
) -> None:
    caplog.set_level("DEBUG")
    database = duckdb.connect(config={"allow_unredacted_secrets": True})
    told = ""
    with (
        LoopbackServer(fault=lambda *_: FAULTS[fault]) as server,
        anserdb.connect(database, store=tmp_path / "s.anser", llm_model="remote", llm_max_retries=1) as con,
    ):
        con.sql(f"CREATE SECRET llm_key (TYPE http, BEARER_TOKEN '{key}')")
        con.sql(f"CREATE MODEL remote USING openai (base_url '{server.base_url}', api_key_secret 'llm_key')")
        con.sql("CREATE PROMPT say AS 'say'")
        con.sql("CREATE TABLE t AS SELECT i AS id, 'body ' || i || '.' AS body FROM range(20) r(i)")
        result = con.sql(QUERY.replace("'say'", "'@say'"))
        assert result is not None
        try:
            told += repr(result.fetchall())
        except anserdb.Error as error:
            told += "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
        told += repr(result) + repr(result.notices) + repr(result.progress) + result.explain() + everything(con)
        told += repr(con.sql("SELECT * FROM duckdb_secrets()"))
        assert server.stats.headers[0]["Authorization"] == f"Bearer {key}"
    database.close()
    assert key not in told
    assert key not in caplog.text
    assert key.encode() not in files(tmp_path)


@pytest.mark.parametrize(
    ("config", "secret", "words"),
    [
        ({}, "CREATE SECRET k (TYPE http, BEARER_TOKEN '{key}')", "allow_unredacted_secrets"),
        ({"allow_unredacted_secrets": True}, "SELECT 1", "There is no secret k: CREATE SECRET k"),
        ({"allow_unredacted_secrets": True}, "CREATE SECRET k (TYPE http, HTTP_PROXY 'x')", "holds no key"),
    ],
)
def test_a_secret_that_cannot_be_read_says_what_to_do(config: dict[str, object], secret: str, words: str) -> None:
    database = duckdb.connect(config=config)  # type: ignore[arg-type]
    with (
        LoopbackServer() as server,
        anserdb.connect(database, store=":memory:", llm_model="remote", llm_on_error="fail") as con,
    ):
        con.sql(secret.format(key=KEYS[0]))
        con.sql(f"CREATE MODEL remote USING openai (base_url '{server.base_url}', api_key_secret 'k')")
        result = con.sql("SELECT LLM_COMPLETE('say', 'x')")
        assert result is not None
        with pytest.raises(anserdb.OperationalError, match=words) as caught:
            result.fetchall()
        assert not server.stats.headers
        assert KEYS[0] not in "".join(traceback.format_exception(caught.value))
    database.close()


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE SECRET k (TYPE http, BEARER_TOKEN '{key}' oops)",
        "CREATE SECRET k (TYPE http, BEARER_TOKN '{key}')",
        "CREATE SECRET k TYPE '{key}'",
        "CREATE SECRET k (TYPE http, BEARER_TOKEN '{key}",
        "CREATE SECRET k (TYPE http, BEARER_TOKEN '{key}' || x)",
        "CREATE SECRET k (TYPE http, VERIFY_SSL '{key}')",
        "CREATE SECRET k (TYPE http, EXTRA_HTTP_HEADERS '{key}')",
        "-- llm_key\nCREATE PERSISTENT SECRET llm_key (TYPE 'http', BEARER_TOKEN '{key}', SCOPE 1, SCOPE 2)",
    ],
)
def test_errors_about_secrets_do_not_repeat_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, statement: str, key: str
) -> None:
    with anserdb.connect(store=tmp_path / "s.anser") as con:
        with pytest.raises(anserdb.Error) as caught:
            con.sql(statement.format(key=key))
        assert key not in str(caught.value) + repr(vars(caught.value)) + repr(caught.value.__cause__)
        assert key not in "".join(traceback.format_exception(caught.value)).replace(statement.format(key=key), "")
    assert key not in caplog.text
    assert key.encode() not in files(tmp_path)


def test_a_statement_with_a_key_in_it_is_not_kept_for_a_retry(tmp_path: Path) -> None:
    with anserdb.connect(store=tmp_path / "s.anser", llm_model="bad") as con:
        con.sql("CREATE MODEL bad USING scripted (fail_ratio 1)")
        asked = con.sql(f"SELECT LLM_COMPLETE('say', body) FROM (VALUES ('x')) t(body) WHERE body <> '{KEYS[0]}'")
        assert asked is not None
        assert asked.fetchall() == [(None,)]
        found = con.sql("SELECT query_id FROM llm_errors()")
        assert found is not None
        (query_id,) = found.fetchall()[0]
        with pytest.raises(anserdb.NotSupportedError, match="seems to hold a key"):
            con.sql(f"CALL llm_retry('{query_id}')")
    assert KEYS[0].encode() not in files(tmp_path)


def test_an_answer_that_repeats_the_key_is_the_servers_own_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that says the key says it as data; nothing of ours adds it anywhere else."""
    monkeypatch.setenv("PLANTED_KEY", KEYS[0])
    with (
        LoopbackServer(answer=lambda body: "no key here") as server,
        connect(server, tmp_path / "s.anser") as con,
    ):
        result = con.sql(QUERY)
        assert result is not None
        assert result.fetchone() == (0, "no key here")
        assert KEYS[0] not in everything(con)


MISPLACED = [
    "CREATE MODEL m USING openai (api_key '{key}')",
    "CREATE OR REPLACE MODEL m USING openai (model 'x', api_key_env '{key}')",
    "CREATE MODEL m USING openai (api_key_secret '{key}')",
    "CREATE MODEL m USING openai (base_url 'http://u:{key}@127.0.0.1:1/v1')",
    "CREATE MODEL m USING openai api_key '{key}'",
    "CREATE MODEL m USING openai (api_key '{key}' || x)",
    "CREATE MODEL m USING openai (api_key '{key}')) then",
    "CREATE MODEL m USING openai (api_key '{key}' 'twice",
    "CREATE MODEL m USING opnai (api_key '{key}')",
    "ALTER MODEL mine SET (api_key '{key}')",
    "ALTER MODEL mine SET (token '{key}')",
    "ALTER MODEL mine STE (api_key_env '{key}')",
    "CALL llm_create_model('m', {{provider: 'openai', api_key: '{key}'}})",
    "CALL llm_alter_model('mine', {{api_key: '{key}'}})",
    "CALL llm_create_modl('m', {{api_key: '{key}'}})",
    "CALL llm_retry('id', '{key}')",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("statement", MISPLACED)
def test_a_key_in_the_wrong_place_of_any_statement_is_not_repeated(tmp_path: Path, statement: str, key: str) -> None:
    with anserdb.connect(store=tmp_path / "s.anser") as con:
        con.sql("CREATE TABLE t AS SELECT 1 AS id, 'x' AS body")
        con.sql("CREATE MODEL mine USING openai (model 'x')")
        with pytest.raises(anserdb.Error) as caught:
            con.sql(statement.format(key=key))
        error = caught.value
        assert key not in str(error) + repr(error) + repr(vars(error))
        assert key not in "".join(traceback.format_exception_only(error))
        assert key not in everything(con)
    assert key.encode() not in files(tmp_path)


def test_a_prompt_that_holds_a_key_is_refused(tmp_path: Path) -> None:
    with anserdb.connect(store=tmp_path / "s.anser") as con:
        for statement in ("CREATE PROMPT p AS 'use {key} for it'", "CALL llm_create_prompt('p', 'use {key} for it')"):
            with pytest.raises(anserdb.ProgrammingError, match="seems to hold a key") as caught:
                con.sql(statement.format(key=KEYS[0]))
            assert KEYS[0] not in str(caught.value) + repr(vars(caught.value))
    assert KEYS[0].encode() not in files(tmp_path)


@pytest.mark.parametrize(
    "statement", ["API_KEY '{key}'", "API_KEY_ENV '{key}'", "BASE_URL 'http://u:{key}@127.0.0.1:1/v1'"]
)
def test_a_key_in_sql_is_refused_and_not_repeated(tmp_path: Path, statement: str) -> None:
    with anserdb.connect(store=tmp_path / "s.anser") as con:
        with pytest.raises(anserdb.Error) as caught:
            con.sql(f"CREATE MODEL m (PROVIDER openai, MODEL 'x', {statement.format(key=KEYS[0])})")
        assert "api_key_env" in str(caught.value).lower()
        assert KEYS[0] not in "".join(traceback.format_exception(caught.value)).replace(
            statement.format(key=KEYS[0]), ""
        )
    assert KEYS[0].encode() not in files(tmp_path)


def test_a_child_that_fails_prints_no_key(tmp_path: Path) -> None:
    env = {**os.environ, "PLANTED_KEY": KEYS[0]}
    with (
        LoopbackServer(fault=lambda *_: FAULTS["refused"]) as server,
        child(server, "con.sql(QUERY).fetchall()", store=tmp_path / "s.anser", env=env, llm_on_error="fail") as process,
    ):
        out, problems = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"PLANTED_KEY" in problems
    assert KEYS[0].encode() not in out + problems + files(tmp_path)
