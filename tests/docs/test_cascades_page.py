"""``docs/cascades.md`` shows what its SQL gives."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

import anserdb
from anserdb.engine.physical.promises import EVERY_ROW, PER_OPERATOR, WHICH_ROWS
from anserdb.engine.sql.common_options import GUARANTEES
from anserdb.engine.sql.guarantee import KINDS
from anserdb.engine.types.promise import METRICS
from anserdb.optimizer.cascades.accuracy import PREFIXES
from anserdb.optimizer.cascades.refusal import FEWEST
from anserdb.udfs.models.base import Capabilities, ChoiceAnswer, Generate, Request
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.pages import blocks, page
from tests.support.reader import shown_values

PAGE = page("docs/cascades.md")
ROWS = 1200
_SAMPLED = re.compile(
    r"(?<=estimate )[\d.]+|(?<=by proxy=)[\d,]+|(?<=by reference=)[\d,]+|(?<=labels=)[\d,]+|(?<=sample: )[0-9a-f]+"
)
"""What depends on which rows are drawn."""


def answer(request: Request) -> str:
    """TRUE above the middle, but for every third row near it."""
    assert isinstance(request, Generate)
    number = int(shown_values(request)[0].split()[-1])
    score = number / ROWS
    good = (score > 0.5) != (abs(score - 0.5) < 0.1 and number % 3 == 0)
    assert isinstance(request.answer, ChoiceAnswer)
    return request.answer.choices[0] if good else request.answer.choices[1]


@pytest.fixture(scope="module")
def con() -> Iterator[anserdb.Connection]:
    capabilities = Capabilities(choice_scores=False, local=True, concurrency=64)
    with anserdb.connect(store=":memory:", llm_model="large", llm_candidate_models="tiny") as con:
        for name in ("large", "tiny"):
            con.register_model(name, ScriptedModel([(lambda _: True, answer)], capabilities=capabilities, name=name))
        con.sql(f"CREATE TABLE t AS SELECT i AS id, 'item ' || i AS body, i / {ROWS} AS score FROM range({ROWS}) r(i)")
        yield con


def test_the_sql_runs_and_the_certificates_are_as_shown(con: anserdb.Connection) -> None:
    (block,) = blocks(PAGE, "sql")
    statements = con.statements(block.text)
    found = [None if (result := con.sql(statement)) is None else result.arrow() for statement in statements]
    assert found[-1] is not None
    lines = found[-1].to_pylist()
    assert {line["metric"] for line in lines} == set(METRICS)
    assert all(line["rows"] == ROWS for line in lines)
    said = [line.strip(" │") for line in con.explain(statements[0], analyze=True).splitlines()]
    made = [line for line in said if line.startswith(("certificate:", "guarantee: accuracy"))]
    (shown,) = blocks(PAGE, "text")
    assert _SAMPLED.sub("", shown.text).splitlines() == [_SAMPLED.sub("", line) for line in made]


def test_the_names_and_figures_are_the_codes() -> None:
    flat = " ".join(PAGE.split())
    assert all(f"`{metric}`" in flat for metric in METRICS)
    assert all(f"'{kind}'" in flat for kind in KINDS)
    assert all(f"{option.name} :=" in flat for option in GUARANTEES)
    assert f"fewer than {FEWEST} rows are asked about" in flat
    assert PREFIXES == 20
    assert "twenty prefixes" in flat
    assert all(f"`{words}`" in flat for words in (WHICH_ROWS, EVERY_ROW, PER_OPERATOR))
    assert re.search(r"`the rows that 1:LLM_FILTER is asked about; above it LIMIT takes some`", flat)
