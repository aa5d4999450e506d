"""What ``docs/simulator.md`` shows runs, and its tables are the code's."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields

import pytest

from benchmarks.server import KINDS, LoopbackServer, Profile
from benchmarks.server.__main__ import server_of
from benchmarks.server.bill import Line
from tests.support.pages import ROOT, Block, blocks, page

PAGE = page("docs/simulator.md")
PRINTED = ["2 answered", "1000 replies, 45.0 simulated seconds"]


@pytest.mark.parametrize(("block", "printed"), list(zip(blocks(PAGE, "python"), PRINTED, strict=True)))
def test_python_runs(block: Block, printed: str) -> None:
    ran = subprocess.run([sys.executable, "-c", block.text], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.stderr, ran.stdout) == ("", f"{printed}\n")


def test_the_command_lines_are_understood(tmp_path, monkeypatch) -> None:
    (tmp_path / "models.toml").write_text('[[model]]\nmodel = "small"\n')
    monkeypatch.chdir(tmp_path)
    lines = [line.split()[3:] for block in blocks(PAGE, "sh") for line in block.text.splitlines()]
    assert len(lines) == 2
    for words in lines:
        assert isinstance(server_of(words)[0], LoopbackServer)


def test_every_option_is_listed_with_its_default() -> None:
    listed = re.findall(r"^\| `(\w+)` \| (\S+) \|", PAGE, re.MULTILINE)
    shown = {None: "none"}
    assert [
        (field.name, shown.get(field.default, str(field.default).removesuffix(".0"))) for field in fields(Profile)
    ] == [(name, default.strip("`")) for name, default in listed]


def test_every_fault_is_listed() -> None:
    listed = re.findall(r"^\| `(\w+)` \| [^|]+ \|$", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(KINDS)


def test_every_column_of_the_bill_is_named() -> None:
    bill = PAGE.partition("## The bill")[2]
    tokens = {"tokens_in", "tokens_cached", "tokens_out"}  # "tokens in, cached and out"
    assert [field.name for field in fields(Line) if field.name not in tokens and f"`{field.name}`" not in bill] == []
