"""What ``bench-ancestry`` measures is what its page says: its queries go back to their documents, its server is fair."""

from __future__ import annotations

import json
from statistics import fmean

import pytest

import anserdb
from benchmarks.ancestry_apps import APPS, App, documents
from benchmarks.ancestry_server import SLOW_SHARE, SPREAD_S, answer, document, items, late_s

DOCS = "CREATE TABLE docs(id INTEGER PRIMARY KEY, body VARCHAR, task VARCHAR, passages VARCHAR[])"


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
def test_each_application_groups_by_the_row_that_was_split(app: App) -> None:
    with anserdb.connect(store=":memory:", llm_model="simulated") as con:
        con.sql(DOCS)
        con.sql("CREATE MODEL simulated (PROVIDER openai, MODEL 'simulated', BASE_URL 'http://127.0.0.1:9/v1')")
        plan = con.explain(app.sql)
    assert "nested_ancestry" in plan
    assert "barrier" not in plan


def test_the_server_lists_every_item_of_a_document() -> None:
    (row,) = documents(7, 1, 5, 5)
    schema = {"type": "object", "properties": {"parts": {"type": "array"}}}
    form = {"type": "json_schema", "json_schema": {"schema": schema}}
    asked = {"messages": [{"role": "user", "content": f"Body: {row.body}"}], "response_format": form}
    parts = json.loads(str(answer(asked)))["parts"]
    assert " ".join(parts) == row.body
    assert [(document(part), items(part)) for part in parts] == [(7, 1)] * 5


def test_slow_verdicts_are_as_many_as_announced_and_do_not_gather_in_some_documents() -> None:
    late = [[late_s(f"Claim: #{number}.{item} the parcel came.") for item in range(20)] for number in range(200)]
    slow = [sum(seconds > SPREAD_S for seconds in each) for each in late]
    assert sum(slow) / 4000 == pytest.approx(SLOW_SHARE, abs=0.01)
    # Of 20 independent verdicts, 1 - 0.95 ** 20 = 64 % of documents have a slow one.
    assert fmean(count > 0 for count in slow) == pytest.approx(0.64, abs=0.08)
