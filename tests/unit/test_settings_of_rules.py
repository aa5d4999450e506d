"""Rules that a connection switches off."""

from __future__ import annotations

import pytest

import anserdb
from anserdb.engine.errors import BindError


def test_a_rule_that_does_not_exist_is_refused_where_it_is_named() -> None:
    with anserdb.connect(store=":memory:", llm_model="scripted") as con:
        con.sql("SET llm_disabled_rules = 'arms'")
        with pytest.raises(BindError, match=r"no rule nested_ancestri.*nested_ancestry"):
            con.sql("SET llm_disabled_rules = 'nested_ancestri'")
        assert con.settings.llm_disabled_rules == "arms"
        assert con.sql("SELECT LLM_COMPLETE('say', 'a') IS NULL").fetchall() == [(False,)]
