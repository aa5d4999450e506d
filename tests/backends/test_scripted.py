"""The scripted model."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.errors import InvalidAnswer, ModelError, ModelUnavailable
from anserdb.udfs.models.base import ChoiceAnswer, Embed, Generate, JsonAnswer, ModelSpec, Reply
from anserdb.udfs.models.deterministic import json_value
from anserdb.udfs.models.hearing import hearing
from anserdb.udfs.models.scripted import BACKEND, Fault, ScriptedModel

LABELS = ("bug", "praise", "question")


async def test_the_first_matching_rule_answers() -> None:
    model = ScriptedModel(
        [
            (r"refund", "bug"),
            (lambda text: len(text) > 100, {"bug": -3.0, "praise": -0.1, "question": -4.0}),
            (r"^vector", [1.0, 0.0]),
            (r"boom", ModelUnavailable("down")),
            (r"ask", lambda request: f"{request.kind} asked"),
        ]
    )
    choice = ChoiceAnswer(LABELS, scores=True)
    assert (await model.call(Generate("", "a refund", choice))).text == "bug"
    long = await model.call(Generate("", "x" * 101, choice))
    assert (long.text, long.scores) == ("praise", {"bug": -3.0, "praise": -0.1, "question": -4.0})
    assert (await model.call(Embed("vector"))).vector == (1.0, 0.0)
    assert (await model.call(Generate("", "ask"))).text == "generate asked"
    with pytest.raises(ModelUnavailable):
        await model.call(Generate("", "boom"))
    assert len(model.calls) == 5


async def test_a_rule_outside_the_choices_is_an_invalid_answer() -> None:
    with pytest.raises(InvalidAnswer, match="none of"):
        await ScriptedModel([("", "perhaps")]).call(Generate("", "x", ChoiceAnswer(LABELS)))


async def test_default_answers_are_valid_spread_and_depend_on_the_seed() -> None:
    model, other = ScriptedModel(), ScriptedModel(seed=1)
    asked = [Generate("", f"review {i}", ChoiceAnswer(LABELS)) for i in range(300)]
    texts = [(await model.call(request)).text for request in asked]
    assert {texts.count(label) > 60 for label in LABELS} == {True}
    assert texts == [(await model.call(request)).text for request in asked]
    assert texts != [(await other.call(request)).text for request in asked]


def test_default_answers_are_the_same_in_another_process() -> None:
    code = (
        "import asyncio; from anserdb.udfs.models.scripted import ScriptedModel; from anserdb.udfs.models.base import *;"
        "print(asyncio.run(ScriptedModel().call(Generate('', 'a text'))).text)"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert there == asyncio.run(ScriptedModel().call(Generate("", "a text"))).text


async def test_scores_agree_with_the_answer_and_are_only_given_when_wanted() -> None:
    model = ScriptedModel()
    reply = await model.call(Generate("", "x", ChoiceAnswer(LABELS, scores=True)))
    assert reply.scores is not None
    assert max(reply.scores, key=lambda name: reply.scores[name]) == reply.text  # type: ignore[index]
    assert sum(map(math.exp, reply.scores.values())) == pytest.approx(1)
    assert (await model.call(Generate("", "x", ChoiceAnswer(LABELS)))).scores is None


SCHEMAS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.sampled_from(
        [
            {"type": "string"},
            {"type": "string", "maxLength": 5},
            {"type": "string", "enum": ["a", "b"]},
            {"type": "string", "format": "date"},
            {"type": "string", "format": "date-time"},
            {"type": "string", "pattern": r"^-?\d+(\.\d{1,2})?$"},
            {"type": "integer", "minimum": -128, "maximum": 127},
            {"type": "integer", "minimum": 5},
            {"type": "integer", "maximum": -5},
            {"type": "number", "minimum": 0, "maximum": 1},
            {"type": "boolean"},
            {"type": ["integer", "null"]},
            {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        ]
    ),
    lambda inner: st.one_of(
        inner.map(lambda item: {"type": "array", "items": item, "minItems": 1, "maxItems": 2}),
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(
            lambda parts: {"type": "object", "properties": parts, "required": sorted(parts)}
        ),
    ),
    max_leaves=5,
)


@given(st.text(max_size=20), SCHEMAS)
@settings(deadline=None)
def test_default_json_fits_its_schema(text: str, schema: dict[str, Any]) -> None:
    check(json.loads(json.dumps(json_value(text, schema))), schema)


def check(value: Any, schema: dict[str, Any]) -> None:
    """A validator for the schemas above, written apart from the generator."""
    if "anyOf" in schema:
        return check(value, schema["anyOf"][0])
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}
    named = schema["type"] if isinstance(schema["type"], str) else schema["type"][0]
    assert isinstance(value, kinds[named])  # type: ignore[arg-type]
    if named in ("integer", "number"):
        assert schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
    if named == "string":
        assert len(value) <= schema.get("maxLength", 99)
        assert value in schema.get("enum", [value])
    for item in value if named == "array" else ():
        check(item, schema["items"])
    if named == "array":
        assert schema["minItems"] <= len(value) <= schema["maxItems"]
    for name, part in schema.get("properties", {}).items():
        check(value[name], part)
    return None


async def test_a_type_it_cannot_make_asks_for_a_rule() -> None:
    schema = json.dumps({"type": "string", "pattern": "^zz{9}$"})
    with pytest.raises(ModelError, match="Give it a rule"):
        await ScriptedModel().call(Generate("", "x", JsonAnswer(schema)))


async def test_embeddings_are_unit_vectors_of_the_dimension() -> None:
    reply = await ScriptedModel(dimension=48).call(Embed("a"))
    assert reply.vector is not None
    assert len(reply.vector) == 48
    assert sum(x * x for x in reply.vector) == pytest.approx(1)


async def test_faults_hit_each_text_the_first_times() -> None:
    model = ScriptedModel(faults=[Fault("bad", ModelUnavailable("down"), times=2)])
    for text in ("bad a", "bad b"):
        for _ in range(2):
            with pytest.raises(ModelUnavailable):
                await model.call(Generate("", text))
        assert isinstance(await model.call(Generate("", text)), Reply)
    assert isinstance(await model.call(Generate("", "good")), Reply)


async def test_calls_in_flight_are_counted_also_when_cancelled() -> None:
    gate = asyncio.Event()

    async def delay(_: object) -> None:
        await gate.wait()

    model = ScriptedModel(delay=delay)
    tasks = [asyncio.create_task(model.call(Generate("", str(i)))) for i in range(5)]
    await asyncio.sleep(0)
    assert (model.in_flight, model.max_in_flight) == (5, 5)
    tasks[0].cancel()
    gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert model.in_flight == 0


async def test_usage_counts_words() -> None:
    reply = await ScriptedModel([("", "two words")]).call(Generate("be brief", "one two three"))
    assert (reply.usage.tokens_in, reply.usage.tokens_out) == (5, 2)


async def test_sql_options() -> None:
    model = BACKEND.create(ModelSpec("s", "scripted", {"seed": 3, "dimension": 4, "choice_scores": False}))
    assert (model.capabilities.dimension, model.capabilities.choice_scores, model.capabilities.local) == (
        4,
        False,
        True,
    )
    reply = await model.call(Generate("", "x", ChoiceAnswer(LABELS, scores=True)))
    assert reply.scores is None
    failing = BACKEND.create(ModelSpec("s", "scripted", {"fail_ratio": 0.3}))
    outcomes = await asyncio.gather(*[failing.call(Generate("", str(i))) for i in range(400)], return_exceptions=True)
    failed = [isinstance(outcome, ModelError) for outcome in outcomes]
    assert 80 < sum(failed) < 160
    again = await asyncio.gather(*[failing.call(Generate("", str(i))) for i in range(400)], return_exceptions=True)
    assert failed == [isinstance(outcome, ModelError) for outcome in again]


async def test_who_listens_hears_the_same_pieces_every_time_and_others_nothing() -> None:
    class Heard:
        def __init__(self) -> None:
            self.said: list[str] = []

        def begin(self) -> None:
            self.said.append("|")

        def text(self, delta: str) -> None:
            self.said.append(delta)

    paced: list[str] = []

    async def pace(before: str) -> None:
        paced.append(before)

    ears = [Heard(), Heard()]
    model = ScriptedModel([("x", "twenty characters ...")], pace=pace)
    for ear in ears:
        with hearing(ear):
            assert (await model.call(Generate("", "x"))).text == "twenty characters ..."
            await model.call(Generate("", "choose", ChoiceAnswer(LABELS)))
            await model.call(Embed("embed"))
    await model.call(Generate("", "x"))
    assert ears[0].said == ears[1].said == ["|", "twenty ", "charact", "ers ..."]
    assert paced == ["", "twenty ", "twenty charact"] * 2
