"""What the history file may hold, and who may read it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from anserdb.engine.interfaces.shell.history import SafeHistory, history_path, looks_secret

SECRETS = [
    "SELECT 'sk-proj-" + "a1B2c3D4" * 3 + "'",
    "CREATE SECRET s (TYPE s3, KEY_ID 'x', SECRET 'y')",
    "create or replace persistent secret s (type openai)",
    "ATTACH 'host=db password=hunter22' AS p (TYPE postgres)",
    "ATTACH 'postgres://ann:hunter2@db/shop' AS p",
    "SET s3_secret_access_key = 'abcd1234'",
    "SET s3_secret_access_key='abcd1234'",
    "CREATE MODEL m (provider 'openai', api_key 'abcdefgh12')",
    "SELECT llm_filter('x', y, api_key := 'abcd1234')",
    "SELECT 'Authorization: Bearer abcdef123456'",
    "SELECT 'AKIA" + "ABCDEFGHIJKLMNOP'",
    "SELECT 'hf_" + "abcdefghijklmnopqrst'",
    "SELECT '" + "0123456789abcdef" * 2 + "'",
    "SELECT '" + "Ab1" * 12 + "'",
]
HARMLESS = [
    "SELECT 1;",
    "SELECT llm_filter('angry', body, max_tokens := 4096) FROM tickets;",
    "CREATE MODEL m (provider 'openai', model 'gpt-4.1-mini', api_key_env 'OPENAI_API_KEY');",
    "SELECT token, password FROM users WHERE secret_count > 3;",
    "SELECT uuid '6ccd780c-baba-1026-9564-5b8c656024db';",
    "SELECT * FROM read_csv('s3://bucket/2026/reviews.csv');",
    ".schema some_table_with_a_rather_long_name_1;",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_seen(text: str) -> None:
    assert looks_secret(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_everyday_statements_are_kept(text: str) -> None:
    assert not looks_secret(text)


def test_file_is_private_and_free_of_secrets(tmp_path: Path) -> None:
    path = tmp_path / "state" / "history"
    history = SafeHistory(path)
    for line in (*HARMLESS, *SECRETS, "SELECT 1\n+ 2;"):
        history.append_string(line)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = path.read_text()
    assert not any(line in written for line in SECRETS)
    again = list(SafeHistory(path).load_history_strings())
    assert again[0] == "SELECT 1\n+ 2;"
    assert set(HARMLESS) <= set(again)


def test_a_readable_history_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.touch(mode=0o644)
    path.chmod(0o644)
    SafeHistory(path).store_string("SELECT 1;")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_history_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    history = SafeHistory(tmp_path / "file" / "history")
    history.append_string("SELECT 1;")
    assert list(history.load_history_strings()) == []
    assert history.get_strings() == ["SELECT 1;"]


def test_place(tmp_path: Path) -> None:
    assert history_path({"ANSER_HOME": str(tmp_path)}) == tmp_path / "history"
    assert history_path({}).parts[-2:] == ("anserdb", "history")
