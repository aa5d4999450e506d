"""A real vLLM, where there is one: ``ANSER_TEST_VLLM_PYTHON`` (an interpreter that has it) and ``ANSER_TEST_VLLM_MODEL`` (a folder)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import anserdb

PYTHON, MODEL = os.environ.get("ANSER_TEST_VLLM_PYTHON", ""), os.environ.get("ANSER_TEST_VLLM_MODEL", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not (PYTHON and MODEL), reason="ANSER_TEST_VLLM_PYTHON and ANSER_TEST_VLLM_MODEL are not set"),
]
CREATE = f"""
CREATE MODEL v (PROVIDER vllm, SERVE '{MODEL}', PYTHON '{PYTHON}', MODEL 'served', START_TIMEOUT_S 600, TIMEOUT_S 300,
                ARGS '--max-model-len 2048 --enforce-eager')
"""
REVIEWS = "(VALUES (1, 'A wonderful film!'), (2, 'A waste of time.'), (3, NULL)) AS reviews(id, review)"


def test_a_child_server_answers_in_every_form(tmp_path: Path) -> None:
    with anserdb.connect(tmp_path / "a.duckdb", llm_on_error="fail") as con:
        con.sql(CREATE)
        con.sql("SET llm_model = 'v'")
        scored = con.sql(
            f"SELECT id, LLM_FILTER('Is this review positive?', review), LLM_SCORE('Is this review positive?', review), "
            f"LLM_CLASSIFY(review, ['good', 'bad']) FROM {REVIEWS} ORDER BY id"
        ).fetchall()
        assert [type(cell) for row in scored[:2] for cell in row[1:]] == [bool, float, str] * 2
        assert 0.0 < scored[0][2] < 1.0, "the score is no probability"
        assert scored[2] == (3, None, None, None)
        (typed,) = con.sql(
            f"SELECT LLM_EXTRACT(review, {{word: 'VARCHAR', stars: 'INTEGER'}}) FROM {REVIEWS}"
        ).fetchall()[0]
        assert set(typed) == {"word", "stars"}
        assert con.sql(f"SELECT LLM_COMPLETE('Translate to French', review) FROM {REVIEWS} LIMIT 1").fetchall()[0][0]
        parts = con.sql(
            f"SELECT id, s.part FROM {REVIEWS}, LATERAL LLM_SPLIT(review, 'sentences') AS s ORDER BY ALL"
        ).fetchall()
        assert {row[0] for row in parts} == {1, 2}
        together = con.sql(f"SELECT LLM_FILTER('Is this positive?', review, batch_rows := 2) FROM {REVIEWS}").fetchall()
        assert sorted(type(row[0]).__name__ for row in together) == ["NoneType", "bool", "bool"]
        tokens = con.sql(f"SELECT LLM_COUNT_TOKENS(review) FROM {REVIEWS} WHERE id < 3").fetchall()
        assert all(0 < row[0] < 20 for row in tokens)
