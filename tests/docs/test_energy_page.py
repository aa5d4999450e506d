"""What ``docs/energy.md`` shows runs, and the figures it names are the code's."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

import anserdb
from anserdb.engine.settings import Country
from anserdb.udfs.models import energy
from anserdb.udfs.models.base import ModelSpec, Usage
from anserdb.udfs.models.carbon import GRAMS_PER_KWH
from anserdb.udfs.models.energy import Method
from tests.support.pages import Block, blocks, page
from tests.support.shop import make_shop

PAGE = page("docs/energy.md")


@pytest.mark.parametrize("block", blocks(PAGE, "sql"), ids=lambda block: block.text[:20])
def test_sql_runs(block: Block, tmp_path: Path) -> None:
    with anserdb.connect(make_shop(tmp_path / "shop.duckdb"), store=":memory:", llm_model="scripted") as con:
        for statement in con.statements(block.text):
            result = con.sql(statement)
            if result is not None:
                assert result.arrow().num_columns > 0


def test_every_method_and_region_is_named() -> None:
    assert all(f"| `{method}` |" in PAGE for method in get_args(Method))
    words = PAGE.replace(",", " ").split()
    assert all(country in words for country in get_args(Country))
    assert f"the world ({GRAMS_PER_KWH['world']} g;" in PAGE


def test_the_figures_are_the_codes() -> None:
    low, likely, high = energy.CORE_W
    assert f"{low:g} to {high:g} W a core, likely {likely:g}" in PAGE
    small, usual, large = (size.active for size in energy.UNKNOWN)
    assert f"{small:g} to {large:g} billion active parameters, likely {usual:g}" in PAGE
    assert f"{energy.SERVER_PUE:g} unless set" in PAGE
    assert f"At B = {energy.BATCH:g}" in PAGE
    taken = energy.counted_energy(energy.per_token(ModelSpec("llama-3.1-8b", "openai")), Usage(0, 1))
    assert taken is not None
    assert f"gives {taken.mid:.2f} J a token for 8 billion" in PAGE
    assert energy.LOW_SHARE == 1 / 7
    assert energy.HIGH_BATCH == 1 / 4
