"""The ``sem_*`` forms: what they are rewritten to, and that they give what the canonical call gives."""

from __future__ import annotations

import pytest

from .conftest import Bench

GOLDEN = [
    ("sem_map('Where is {city}?', city)", "LLM_COMPLETE('Where is {city}?', city)"),
    ("sem_map('Where is {city}?', returns := 'VARCHAR')", "LLM_COMPLETE('Where is {city}?', returns := 'VARCHAR')"),
    ("sem_join('{body} is about {city}', body, city)", "LLM_FILTER('{body} is about {city}', body, city)"),
    ("sem_sim(body, city)", "LLM_SIMILARITY(body, city)"),
]


@pytest.mark.parametrize(("written", "ours"), GOLDEN)
def test_what_it_is_rewritten_to_and_gives(bench: Bench, written: str, ours: str) -> None:
    assert bench.expression(written) == ours
    found, expected = bench.ask(written), bench.ask(ours)
    assert (found.types, found.rows, found.asked) == (expected.types, expected.rows, expected.asked)


def test_a_join(bench: Bench) -> None:
    sql = "SELECT a.id, b.id FROM tickets a JOIN tickets b ON {}('{{a.city}} is like {{b.city}}', a.city, b.city) ORDER BY ALL"
    assert bench.run(sql.format("sem_join")).rows == bench.run(sql.format("LLM_FILTER")).rows


@pytest.mark.parametrize(
    "written", ["SEM_FILTER('rude', body)", "SEM_CLASSIFY(body, ['a', 'b'])", "SEM_SCORE('rude', body)"]
)
def test_what_ours_answer_to_as_it_is(bench: Bench, written: str) -> None:
    assert bench.expression(written) == written
