"""LLM_COUNT_TOKENS: exact or not at all."""

from __future__ import annotations

import pytest

import anserdb
from anserdb.engine.errors import BindError
from anserdb.udfs.models.base import Capabilities
from tests.support.function_call import DYNAMIC, Asker, bound, task


async def _letters(text: str) -> int:
    return len(text)


COUNTS = Capabilities(count_tokens=_letters)


async def test_the_models_own_tokenizer_counts_without_a_call() -> None:
    call, kind = task("LLM_COUNT_TOKENS", bound(DYNAMIC), COUNTS)
    ask = Asker()
    assert [await call.run([value], ask) for value in ("abc", "", 42, {"a": 1})] == [3, 0, 2, 8]
    assert await task("LLM_COUNT_TOKENS", bound("four"), COUNTS)[0].run([], ask) == 4
    assert await task("LLM_COUNT_TOKENS", bound(None), COUNTS)[0].run([], ask) is None
    assert ask.generated == []
    assert call.requests(["abc"]) == ()
    assert kind.text == "BIGINT"


def test_a_model_without_a_tokenizer_at_hand_is_refused() -> None:
    with anserdb.connect(":memory:", store=":memory:") as connection:
        connection.sql("CREATE MODEL remote (PROVIDER openai, MODEL 'x')")
        with pytest.raises(BindError, match=r"that of remote is not at hand.*model := 'small'"):
            connection.sql("SELECT LLM_COUNT_TOKENS('x', model := 'remote')")


def test_nothing_is_asked_stored_or_paid() -> None:
    with anserdb.connect(":memory:", store=":memory:", llm_model="scripted", llm_max_calls=0) as connection:
        rows = connection.sql("SELECT LLM_COUNT_TOKENS(x) FROM (VALUES ('two words'), (NULL)) AS t(x)").fetchall()
        assert rows == [(2,), (None,)]
        assert connection.usage().num_rows == 0
