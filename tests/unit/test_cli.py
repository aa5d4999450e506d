"""The ``anser`` command: options, exit status, streams."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import anserdb
from anserdb.engine.interfaces import cli
from anserdb.engine.interfaces.models_cli import PLAIN_EVERY_S, plain_progress
from anserdb.udfs.models.weights import ProgressEvent

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("ANSER_LLM_MODEL", "scripted")


def anser(monkeypatch: pytest.MonkeyPatch, *arguments: str, stdin: str = "") -> int:
    """Run the command in this process; its exit status."""
    monkeypatch.setattr(sys, "argv", ["anser", *arguments])
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert isinstance(left.value.code, int)
    return left.value.code


def test_commands_run_in_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    database = str(tmp_path / "shop.duckdb")
    made = "CREATE TABLE t AS SELECT 7 AS n"
    assert anser(monkeypatch, database, "-c", made, "-c", "FROM t; SELECT 8 AS m", "--format", "csv") == 0
    assert capsys.readouterr().out == "n\n7\nm\n8\n"
    assert anser(monkeypatch, database, "-c", "FROM t", "--format", "jsonl") == 0
    assert json.loads(capsys.readouterr().out) == {"n": 7}


def test_a_semantic_query_leaves_standard_output_to_the_data(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sql = "SELECT llm_filter('is it x', a) IS NOT NULL AS f FROM (VALUES ('p')) t(a)"
    assert anser(monkeypatch, "-c", sql, "--format", "csv", "--set", "llm_cache=false") == 0
    captured = capsys.readouterr()
    assert captured.out == "f\ntrue\n"
    assert captured.err.startswith("1 row in ")
    assert "\x1b" not in captured.err


def test_sql_errors_end_with_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert anser(monkeypatch, "-c", "SELECT 1; SELECT llm_flter(1); SELECT 3") == 1
    captured = capsys.readouterr()
    assert "LLM_FILTER" in captured.err
    assert "^" in captured.err
    assert "3" not in captured.out


def test_a_script_names_file_and_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    script = tmp_path / "demo.sql"
    script.write_text("-- a demo\nSELECT 1;\n\nSELECT nope;\n")
    assert anser(monkeypatch, "-f", str(script)) == 1
    assert capsys.readouterr().err.startswith(f"{script}:4: ")
    assert anser(monkeypatch, "-f", str(tmp_path / "missing.sql")) == 1
    assert "missing.sql cannot be read" in capsys.readouterr().err


def test_standard_input_is_a_script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert anser(monkeypatch, "--format", "csv", "--echo", stdin="SELECT\n7 AS n;\n.mode line\nSELECT 8 AS m") == 0
    assert capsys.readouterr().out == "SELECT\n7 AS n;\nn\n7\nSELECT 8 AS m;\nm = 8\n"
    assert anser(monkeypatch, "-f", "-", "--format", "csv", stdin="SELECT 7 AS n;") == 0
    assert capsys.readouterr().out == "n\n7\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "xml"), "table, csv, json"),
        (("--set", "llm_modl=x", "-c", "SELECT 1"), "llm_model"),
        (("--set", "llm_model", "-c", "SELECT 1"), "NAME=VALUE"),
        (("--set", "a b=c", "-c", "SELECT 1"), "NAME=VALUE"),
        (("--set", "llm_max_calls=many", "-c", "SELECT 1"), "llm_max_calls"),
        (("--nonsense",), "--nonsense"),
    ],
)
def test_usage_errors_end_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert anser(monkeypatch, *arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_settings_of_both_engines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    sql = "SELECT current_setting('threads') AS threads"
    assert anser(monkeypatch, "--set", "threads=1", "--set", "llm_max_calls=null", "-c", sql, "--format", "csv") == 0
    assert capsys.readouterr().out == "threads\n1\n"


def test_a_database_that_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "text.duckdb").write_text("no database " * 1000)
    assert anser(monkeypatch, str(tmp_path / "text.duckdb"), "-c", "SELECT 1") == 1
    assert "cannot be opened" in capsys.readouterr().err


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert anser(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith(f"anser {anserdb.__version__} (DuckDB ")


def test_the_command_line_itself_imports_no_engine() -> None:
    heavy = ("duckdb", "pyarrow", "sqlglot", "numpy", "prompt_toolkit", "pygments")
    code = (
        "import sys; import anserdb; import anserdb.engine.interfaces.cli; "
        f"print([m for m in {heavy} if m in sys.modules]); anserdb.connect; print('duckdb' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\nTrue\n"


def test_every_public_name_is_there_and_others_are_not() -> None:
    assert all(getattr(anserdb, name) is not None for name in anserdb.__all__)
    assert set(anserdb.__all__) <= set(dir(anserdb))
    with pytest.raises(AttributeError, match="has no attribute 'conect'"):
        anserdb.conect  # noqa: B018


@pytest.mark.parametrize("mode", ["csv", "table", "json"])
def test_a_broken_pipe_is_quiet(mode: str) -> None:
    command = [
        sys.executable,
        "-m",
        "anserdb",
        "--format",
        mode,
        "-c",
        "SELECT range AS r FROM range(300000)",
        "-c",
        "FROM range(9)",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == (141 if mode != "table" else process.returncode)


def test_python_m_anserdb_talks_over_pipes() -> None:
    command = [sys.executable, "-m", "anserdb", "--format", "csv"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in ("7", "8"):
            process.stdin.write(f"SELECT {number} AS n;\n")
            process.stdin.flush()
            assert [process.stdout.readline(), process.stdout.readline()] == ["n\n", f"{number}\n"]
        process.stdin.close()
        assert process.wait() == 0


def test_models_list(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert anser(monkeypatch, "models", "list") == 0
    listed = capsys.readouterr().out
    for name in ("small", "large", "smollm2", "Apache-2.0", "491"):
        assert name in listed


def test_models_that_are_not_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (("pull", "small", "--offline"), ("path", "small")):
        assert anser(monkeypatch, "models", *arguments) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "anser models pull small" in captured.err
    assert anser(monkeypatch, "models", "pull", "smal") == 1
    assert "Did you mean small?" in capsys.readouterr().err


def test_models_by_path(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF")
    for verb in ("pull", "path"):
        assert anser(monkeypatch, "models", verb, str(own)) == 0
        assert capsys.readouterr().out == f"{own}\n"


def test_a_pull_over_a_pipe_prints_plain_lines() -> None:
    now = [0.0]
    lines: list[str] = []
    show = plain_progress(lines.append, lambda: now[0])
    for i in range(11):
        show(ProgressEvent("small", "downloading", "hub", i * 40_000_000, 491_400_064))
        now[0] += PLAIN_EVERY_S / 5
    show(ProgressEvent("small", "ready", "folder", 491_400_064, 491_400_064))
    assert lines == [
        "small: fetching from the hub, 0 of 491 MB",
        "small: fetching from the hub, 200 of 491 MB",
        "small: fetching from the hub, 400 of 491 MB",
        "small: ready",
    ]


@pytest.mark.parametrize("name", ["rv", "v", "self", "ctx", "sys", "args"])
def test_the_commands_own_variables_are_no_tables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert anser(monkeypatch, "-c", f"FROM {name}") == 1
    assert f"Table with name {name} does not exist" in capsys.readouterr().err


def test_schema_shows_a_view_in_the_users_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = "CREATE VIEW v (a) AS SELECT LLM_FILTER('is it x', 'x')"
    assert anser(monkeypatch, "-c", made, "-c", ".schema v") == 0
    assert capsys.readouterr().out == f"{made};\n"
