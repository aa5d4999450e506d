"""A key in the environment is sent to its server, and is found nowhere else, whatever happens."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina

import anserdb
from tests.support.doors import QUERY, child, connect
from tests.support.loopback import Fault, LoopbackServer

KEYS = ["sk-planted-0123456789abcdefghij", "neither.a-shape_anyone+knows=="]
VIEWS = ("llm_calls", "llm_errors", "llm_usage", "llm_models", "llm_settings")


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
    models = con.sql("SHOW MODELS")
    assert models is not None
    return "\n".join([*shown, repr(models.fetchall())])


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
