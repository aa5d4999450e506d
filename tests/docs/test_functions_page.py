"""docs/functions.md says what the declarations say."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from anserdb.udfs.functions import functions
from anserdb.udfs.spec import Parameter

DOCS = Path(__file__).parents[2] / "docs"
GENERATOR = runpy.run_path(str(DOCS / "generate.py"))


def test_the_page_is_current() -> None:
    assert (DOCS / "functions.md").read_text(encoding="utf-8") == GENERATOR["page"](), "run make update"


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("LLM_EXTRACT", "LLM_EXTRACT(input, fields)"),
        ("LLM_SUMMARIZE", "LLM_SUMMARIZE(input [, instruction])"),
        ("LLM_COMPLETE", "LLM_COMPLETE(prompt [, input, …] [, returns := …])"),
    ],
)
def test_signatures(name: str, signature: str) -> None:
    assert GENERATOR["signature"](functions()[name]) == signature


def test_a_first_parameter_has_no_comma() -> None:
    assert GENERATOR["written"](Parameter("input", variadic=True), first=True) == "[input, …]"
