"""Statements and dot commands, run on a real connection with the scripted model."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import anserdb
from anserdb.engine.interfaces.shell.commands import Commands
from anserdb.engine.interfaces.shell.repl import converse, drain
from anserdb.engine.interfaces.shell.runner import Outcome, Runner
from anserdb.engine.interfaces.shell.screen import Screen, Stream
from anserdb.engine.interfaces.shell.vocabulary import Names


@dataclass
class Shell:
    """Commands, and what they wrote."""

    commands: Commands
    out: io.StringIO
    err: io.StringIO

    def run(self, text: str, source: str = "") -> tuple[Outcome, str, str]:
        self.out.truncate(self.out.seek(0))
        self.err.truncate(self.err.seek(0))
        outcome = self.commands.run_text(text, source)
        return outcome, self.out.getvalue(), self.err.getvalue()


@pytest.fixture
def shell() -> Iterator[Shell]:
    out, err = io.StringIO(), io.StringIO()
    with anserdb.connect(store=":memory:", llm_model="scripted") as connection:
        runner = Runner(connection, Screen(Stream(out), Stream(err)))
        yield Shell(Commands(runner, Names(connection)), out, err)


def test_a_semantic_query_prints_rows_and_a_bill(shell: Shell) -> None:
    outcome, out, err = shell.run("SELECT llm_filter('is it x', a) AS f FROM (VALUES ('p'), ('q'), (NULL)) t(a);")
    assert outcome is Outcome.OK
    assert out.count("│ NULL ") == 1
    assert err.startswith("3 rows in ")
    assert "model calls" in err
    assert "(local)" in err


def test_a_semantic_statement_without_rows_has_a_bill(shell: Shell) -> None:
    _, out, err = shell.run("CREATE TABLE t AS SELECT llm_filter('is it x', a) AS f FROM (VALUES ('p')) t(a);")
    assert out == ""
    assert "model calls" in err
    assert "rows" not in err


def test_plain_sql_has_no_bill_but_a_time_on_request(shell: Shell) -> None:
    assert shell.run("SELECT 1;")[2] == ""
    assert shell.run(".timer on\nSELECT 1;")[2].startswith("Run time: ")
    assert shell.run(".timer off\nSELECT 1;")[2] == ""


def test_notices_are_printed(shell: Shell) -> None:
    shell.run("CREATE MODEL flaky (provider 'scripted', fail_ratio 1);")
    _, _, err = shell.run("SELECT llm_complete('say', a, model := 'flaky') FROM (VALUES ('p')) t(a);")
    assert "1 row failed" in err
    assert len(err.splitlines()) >= 2


def test_what_fails_has_a_bill_too(shell: Shell) -> None:
    outcome, _, err = shell.run("SET llm_max_calls = 2; SELECT llm_complete('say', r::VARCHAR) FROM range(50) t(r);")
    assert outcome is Outcome.ERROR
    assert "llm_max_calls" in err
    assert "· 2 model calls · " in err
    assert "model call" not in shell.run("SELECT llm_complete('say', nope) FROM range(50) t(r);")[2]


def test_explain_analyze_has_a_bill(shell: Shell) -> None:
    _, out, err = shell.run("EXPLAIN ANALYZE SELECT llm_complete('say', r::VARCHAR) FROM range(3) t(r);")
    assert "LLM_COMPLETE" in out
    assert "s · 3 model calls · " in err
    assert "row" not in err


def test_changes_print_no_count_but_queries_may(shell: Shell) -> None:
    assert shell.run("CREATE TABLE t AS SELECT 1 AS a; INSERT INTO t VALUES (2); DELETE FROM t;")[1] == ""
    assert shell.run("BEGIN; CREATE TABLE d (b INT); DROP TABLE d; COMMIT; SET threads = 2; CHECKPOINT;")[1] == ""
    assert "Count" in shell.run('SELECT 1::BIGINT AS "Count";')[1]
    assert "Success" in shell.run('SELECT true AS "Success";')[1]
    assert "│       5 │" in shell.run("INSERT INTO t VALUES (5) RETURNING a;")[1]


def test_explain_is_not_boxed(shell: Shell) -> None:
    _, out, _ = shell.run("/* why */ EXPLAIN SELECT llm_filter('is it x', a) FROM (VALUES ('p')) t(a);")
    assert "LLM_FILTER" in out
    assert "┌" not in out
    assert "Projection" in shell.run("EXPLAIN SELECT 1;")[1]


def test_explain_is_data_in_other_formats(shell: Shell) -> None:
    assert json.loads(shell.run(".mode json\nEXPLAIN SELECT 1;")[1])


def test_an_error_shows_its_place_and_ends_the_script(shell: Shell) -> None:
    outcome, out, err = shell.run("\nSELECT 1;\n\nSELECT llm_flter('x');\nSELECT 2;", "demo.sql")
    assert outcome is Outcome.ERROR
    assert err.startswith("demo.sql:4: ")
    assert "Did you mean LLM_FILTER" in err
    assert err.rstrip().endswith("^^^^^^^^^")
    assert "2" not in out


def test_duckdbs_errors_keep_their_label(shell: Shell) -> None:
    assert shell.run("SELECT nope;")[2].startswith("Binder Error: ")


def test_tables_and_schema(shell: Shell) -> None:
    shell.run(
        "CREATE TABLE ships (name VARCHAR); CREATE SCHEMA past; CREATE TABLE past.ships (n INTEGER); CREATE VIEW fleet AS FROM ships;"
    )
    assert shell.run(".tables")[1].split() == ["fleet", "past.ships", "ships"]
    assert shell.run(".tables sh%")[1].split() == ["ships"]
    assert shell.run(".schema past.ships")[1] == "CREATE TABLE past.ships(n INTEGER);\n"
    assert shell.run(".schema SHIPS")[1].count("CREATE TABLE") == 2
    assert shell.run(".schema")[1].count("CREATE") == 3
    assert "Did you mean ships?" in shell.run(".schema shps")[2]
    assert shell.run(".schema x' OR '1'='1")[0] is Outcome.ERROR


def test_models_and_cost(shell: Shell) -> None:
    assert "scripted" in shell.run(".models")[1]
    shell.run("SELECT llm_filter('is it x', a) AS f FROM (VALUES ('p')) t(a);")
    _, out, err = shell.run(".cost")
    assert "LLM_FILTER" in out
    assert err == "Together $0.00\n"


def test_mode(shell: Shell) -> None:
    assert shell.run(".mode csv\nSELECT 1 AS a;")[1] == "a\n1\n"
    assert shell.run(".mode")[1] == "csv\n"
    assert "Known: table, csv" in shell.run(".mode cvs")[2]


def test_help(shell: Shell) -> None:
    overview = shell.run(".help")[1]
    for word in (".read FILE", "LLM_FILTER", "LLM_SUMMARIZE", "Ctrl-C"):
        assert word in overview
    on_function = shell.run(".help llm_filter")[1]
    assert on_function.startswith("LLM_FILTER(condition")
    assert "model" in on_function
    assert "Example:" in on_function
    assert shell.run(".help ai_filter")[1] == on_function
    assert "US dollars" in shell.run(".help llm_max_cost_usd")[1]
    assert shell.run(".help read")[1].startswith(".read FILE")
    assert "Did you mean LLM_FILTER" in shell.run(".help llm_fliter")[2]


def test_the_example_of_every_function_runs(shell: Shell) -> None:
    from anserdb.engine.interfaces.shell.vocabulary import semantic_functions

    for function in semantic_functions().values():
        if function.model_kind == "generate":
            outcome, _, err = shell.run(function.example + ";")
            assert outcome is Outcome.OK, err


def test_an_unknown_command_names_the_nearest(shell: Shell) -> None:
    outcome, _, err = shell.run(".tabels")
    assert outcome is Outcome.ERROR
    assert err == "There is no command .tabels. Did you mean .tables?\n"


@pytest.mark.parametrize("line", [".timer", ".timer maybe", ".read", ".quit now", ".cost now", '.read "open'])
def test_wrong_arguments(shell: Shell, line: str) -> None:
    assert shell.run(line)[0] is Outcome.ERROR


def test_read(shell: Shell, tmp_path: Path) -> None:
    script = tmp_path / "a script.sql"
    script.write_text("SELECT 1 AS one;\nSELECT nope;\n")
    outcome, out, err = shell.run(f".read '{script}'")
    assert outcome is Outcome.ERROR
    assert "one" in out
    assert err.startswith(f"{script}:2: ")
    assert "nowhere.sql" in shell.run(".read nowhere.sql")[2]


def test_a_script_that_reads_itself_ends(shell: Shell, tmp_path: Path) -> None:
    script = tmp_path / "loop.sql"
    script.write_text(f".read {script}\n")
    assert "does" in shell.run(f".read {script}")[2]


def test_quit_ends_a_script(shell: Shell) -> None:
    outcome, out, _ = shell.run("SELECT 1 AS a; .quit\nSELECT 2 AS b;")
    assert outcome is Outcome.QUIT
    assert "b" not in out.replace("bigint", "")


def test_echo(shell: Shell) -> None:
    shell.commands.runner.echo = True
    assert shell.run("SELECT 1;")[1].startswith("SELECT 1;\n")


def test_a_pipe_is_answered_statement_by_statement(shell: Shell) -> None:
    seen: list[str] = []

    def lines() -> Iterator[str]:
        for line in ("SELECT 7\n", "  AS seven;\n", "\n", "SELECT nope;\n", "SELECT 8 AS eight;\n"):
            seen.append(shell.out.getvalue())
            yield line

    assert drain(lines(), shell.commands, "stdin") is Outcome.ERROR
    assert "seven" not in seen[1]
    assert "seven" in seen[2]
    assert shell.err.getvalue().startswith("stdin:4: ")
    assert "eight" not in shell.out.getvalue()


def test_a_pipe_may_end_without_a_semicolon(shell: Shell) -> None:
    assert drain(["SELECT 7 AS seven"], shell.commands, "stdin") is Outcome.OK
    assert "seven" in shell.out.getvalue()


def test_the_shell_goes_on_after_errors_and_ctrl_c(shell: Shell) -> None:
    inputs: list[str | BaseException] = ["SELECT nope;", KeyboardInterrupt(), "SELECT 7 AS seven;", EOFError()]

    class Typist:
        def read(self) -> str:
            item = inputs.pop(0)
            if isinstance(item, BaseException):
                raise item
            return item

    converse(Typist(), shell.commands)
    assert "seven" in shell.out.getvalue()
    assert inputs == []
