"""``docs/optimizer.md`` shows what its SQL gives on a simulated server, but for seconds and dates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import anserdb
from anserdb.engine.settings import Settings
from anserdb.optimizer.search import chooser
from anserdb.optimizer.search.memo import MOST_SITES
from benchmarks.server import LoopbackServer, Profile
from tests.sql.test_arms import said_by
from tests.support.pages import blocks, page

PAGE = page("docs/optimizer.md")
SHOWN = ("arm", "rows", "agreement", "agreement_low", "agreement_high", "usd_per_row", "seconds_per_row")
_CLOCK = re.compile(r"[\d.,]+ s\b|time≈[^(]*(\([^)]*\) )?|\d{4}-\d\d-\d\d")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """What each statement of the page gives."""
    prices = {"large": (10.0, 40.0), "small": (0.5, 2.0)}
    profiles = [Profile(name, price_in=i, price_out=o) for name, (i, o) in prices.items()]
    path: Path = tmp_path_factory.mktemp("page") / "s.anser"
    with (
        LoopbackServer(*profiles, answer=said_by({"small": 0.99})) as server,
        anserdb.connect(store=path, llm_model="large", llm_concurrency=32) as con,
    ):
        for name, (price_in, price_out) in prices.items():
            con.sql(
                f"CREATE MODEL {name} USING openai (model '{name}', base_url '{server.base_url}', "
                f"price_in {price_in}, price_out {price_out})"
            )
        con.sql("CREATE TABLE t AS SELECT i AS id, 'item number ' || i AS body FROM range(600) r(i)")
        (block,) = blocks(PAGE, "sql")
        results = [con.sql(statement) for statement in con.statements(block.text)]
        yield [None if result is None else result.arrow() for result in results]


def profile_lines(table: Any) -> list[str]:
    """The table of PROFILE as the page has it."""
    lines = [f"| {' | '.join(SHOWN)} |", "|" + "---|" * len(SHOWN)]
    for row in table.select(SHOWN).to_pylist():
        cells = ["" if v is None else v if isinstance(v, str) else f"{v:.3g}" for v in row.values()]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def explain_lines(table: Any) -> list[str]:
    """EXPLAIN as the page has it."""
    return [line.rstrip() for line in table.column(0)[0].as_py().splitlines()]


def without_seconds(line: str) -> str:
    return re.sub(r"\| [^|]+ \|$", "|", line)


def test_the_profile_is_as_shown(said: list[Any]) -> None:
    shown = [line for line in PAGE.splitlines() if line.startswith("| ") and line.count("|") == len(SHOWN) + 1]
    made = [line for line in profile_lines(said[0]) if not line.startswith("|-")]
    assert [without_seconds(line) for line in shown] == [without_seconds(line) for line in made]


def test_the_plans_are_as_shown(said: list[Any]) -> None:
    (block,) = blocks(PAGE, "text")
    kinds = ("mode:", "rules:", "chosen:", "rejected:", "not measured:")
    shown, made = (
        [_CLOCK.sub("", line) for line in lines if line.startswith(kinds)]
        for lines in (block.text.splitlines(), explain_lines(said[2]))
    )
    assert shown == made
    assert said[3].num_rows > 1
    assert said[4].num_rows == 600


def test_the_figures_are_the_codes() -> None:
    flat = " ".join(PAGE.split())
    assert f"the first {Settings().llm_profile_rows} rows of the query's sources" in flat
    assert f"the first {chooser.FIRST_WAVE} rows go to all arms" in flat
    assert f"it is proved at {1 - chooser.DELTA:.0%}" in flat
    assert f"A share of {chooser.AUDIT_SHARE:.0%} of the rows is audited" in flat
    assert f"at most {chooser.EXPLORE_SHARE:.0%} of what the reference alone would" in flat
    assert f"at most {MOST_SITES} calls" in flat
    assert all(
        f"`{name}`" in PAGE for name in ("llm_min_quality", "llm_objective", "llm_best_effort", "llm_profile_rows")
    )
