"""Keys of stored answers: the fast way must give what the plain one gives, or old stores are lost."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from anserdb.udfs.models.base import ChoiceAnswer, Embed, Generate, JsonAnswer, Request, TextAnswer, request_key

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(['""}]', '"', "\\", "}]", "\n", "é"])
ANSWERS = (
    st.builds(TextAnswer)
    | st.builds(ChoiceAnswer, st.lists(TEXTS, max_size=3).map(tuple), st.booleans())
    | st.builds(JsonAnswer, TEXTS)
)
NUMBERS = st.sampled_from([0.0, 0, 0.5, 1, 1.0])
REQUESTS = st.builds(
    Generate, TEXTS, TEXTS, ANSWERS, NUMBERS, st.integers(0, 2), st.none() | st.integers(0, 2)
) | st.builds(Embed, TEXTS, st.sampled_from(["query", "passage"]))


@given(TEXTS, REQUESTS)
def test_it_is_the_hash_of_the_sorted_json(identity: str, request: Request) -> None:
    payload = {name: value for name, value in asdict(request).items() if name != "attempt"}
    text = json.dumps([identity, payload], sort_keys=True, ensure_ascii=False)
    assert request_key(identity, request) == hashlib.sha256(text.encode()).digest()


def test_a_re_ask_has_the_key_of_the_first() -> None:
    assert request_key("m", Generate("s", "u", attempt=2)) == request_key("m", Generate("s", "u"))
