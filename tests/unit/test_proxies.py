"""Proxies of certified calls: another model by its probabilities, and scores of the user's own; rows by what they ask."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from anserdb.engine.errors import ModelError, ModelUnavailable
from anserdb.engine.physical.cascading.expression_proxy import LABELS, LabelProxy, ScoreProxy, scores_by_input
from anserdb.engine.physical.cascading.model_proxy import ModelProxy, note_of
from anserdb.engine.physical.cascading.population import Population
from anserdb.engine.physical.cascading.proxy import Judged
from anserdb.engine.physical.cascading.reference import Key, Reference, Said
from anserdb.engine.store import Store
from anserdb.engine.types import BOOLEAN, VARCHAR
from anserdb.udfs.functions import functions
from anserdb.udfs.models.base import Capabilities, Generate, Reply, Request
from anserdb.udfs.models.scripted import ScriptedModel
from anserdb.udfs.spec import DYNAMIC, Arguments, Weighs
from tests.support.runtime import new_run, stage_of, strangers

ROWS = [(f"number {n}",) for n in range(40)]


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(None) as opened:
        yield opened


def task_of(name: str, constants: tuple[Any, ...], *, scores: bool = True, **options: Any) -> Any:
    capabilities, texts = Capabilities(choice_scores=scores), ("body",) * len(constants)
    return functions()[name].lower(Arguments(constants, (VARCHAR,) * len(constants), texts, options), capabilities)


def even(*, scores: bool = True, **options: Any) -> Any:
    return task_of("LLM_FILTER", ("is even", DYNAMIC), scores=scores, **options)


def number(request: Request) -> int | None:
    assert isinstance(request, Generate)
    found = [int(word) for word in request.user.split() if word.isdigit()]
    return found[-1] if found else None


def odds(request: Request) -> float:
    """They grow with the number; what says nothing is undecided."""
    given = number(request)
    return 0.0 if given is None else (given - 20) / 4


def by_number(request: Request) -> Reply:
    yes = odds(request)
    return Reply("Yes" if yes > 0 else "No", scores={"Yes": yes, "No": 0.0})


def proxy_of(store: Store, task: Any, *rules: Any, scores: bool = True, **settings: Any) -> tuple[ModelProxy, Any]:
    model = ScriptedModel(rules, capabilities=Capabilities(choice_scores=scores, concurrency=4), name="small")
    run = new_run(store, **settings)
    stage = stage_of(run, model, task=task, type=BOOLEAN)
    stage = replace(stage, call=replace(stage.call, options={**stage.call.options, "model": "small"}))
    return ModelProxy(stage, 8), model


async def test_a_model_is_as_sure_as_its_log_odds_are_above_its_threshold(store: Store) -> None:
    proxy, model = proxy_of(store, even(), ("", by_number))
    said = await proxy.answer(ROWS)
    assert said == [Judged(n > 20, (n - 20) / 4) for n in range(40)]
    assert [each.certainty for each in said if each] == [abs(n - 20) / 4 for n in range(40)]
    assert model.max_in_flight <= 8
    assert proxy.name == "small"
    assert note_of(proxy._stage) == ""


async def test_options_that_add_to_prompts_weigh_alike(store: Store) -> None:
    added = even(instructions="Be brief.")
    assert isinstance(added, Weighs)
    assert added.weighs
    proxy, model = proxy_of(store, added, ("", by_number))
    assert [each and each.confidence for each in await proxy.answer(ROWS)] == [(n - 20) / 4 for n in range(40)]
    assert all(isinstance(request, Generate) and "Be brief." in request.system for request in model.calls)


async def test_labels_are_as_sure_as_they_are_ahead_of_the_next(store: Store) -> None:
    task = task_of("LLM_CLASSIFY", (DYNAMIC, ["low", "middle", "high"]))

    def labels(request: Request) -> Reply:
        given = number(request)
        high = 0.0 if given is None else given / 4
        scores = {"low": -high, "middle": 1.0 if given is not None else 0.0, "high": high}
        return Reply(max(scores, key=lambda name: scores[name]), scores=scores)

    proxy, _ = proxy_of(store, task, ("", labels))
    said = await proxy.answer(ROWS)
    assert [said[0], said[8]] == [Judged("middle", 1.0), Judged("high", 1.0)]
    assert [await task.run(row, proxy._stage.caller) for row in ROWS] == [each and each.answer for each in said]


async def test_a_model_without_probabilities_is_as_sure_of_one_answer_as_of_another(store: Store) -> None:
    proxy, _ = proxy_of(
        store, even(scores=False), ("", lambda r: "Yes" if number(r) in range(10) else "No"), scores=False
    )
    said = await proxy.answer(ROWS)
    assert [each and each.answer for each in said] == [n < 10 for n in range(40)]
    assert len({each.certainty for each in said if each}) == 1
    assert "small gives no probabilities" in note_of(proxy._stage)


async def test_rows_at_which_a_proxy_fails_have_no_answer_of_it(store: Store) -> None:
    fails = (r"number \d*7\b", ModelError("no"))
    proxy, _ = proxy_of(store, even(), fails, ("", by_number))
    said = await proxy.answer(ROWS)
    assert [n for n, each in enumerate(said) if each is None] == [7, 17, 27, 37]


async def test_a_proxy_of_which_nobody_is_there_says_so_and_leaves_nothing_behind(store: Store) -> None:
    proxy, model = proxy_of(store, even(scores=False), ("", ModelUnavailable("gone")), scores=False)
    with pytest.raises(ModelUnavailable):
        await proxy.answer(ROWS)
    assert len(model.calls) < len(ROWS)
    assert not strangers()


async def test_scores_of_0_to_1_are_probabilities() -> None:
    scores: dict[Key, Any] = {"a": 0.2, "b": 0.9, "c": None, "d": math.nan, "e": Decimal("0.5"), "f": True}
    proxy = ScoreProxy(scores)
    assert proxy.labels == 0
    said = await proxy.answer([(key,) for key in scores])
    assert [each and each.answer for each in said] == [False, True, None, None, False, True]
    assert [each and round(each.confidence, 9) for each in said] == [-0.3, 0.4, None, None, 0.0, 0.5]


@pytest.mark.parametrize("sign", [1.0, -1.0])
async def test_what_other_scores_mean_is_learnt_whichever_way_they_go(sign: float) -> None:
    inputs = [(f"t{n}",) for n in range(300)]
    proxy = ScoreProxy({f"t{n}": sign * (1000.0 + n) for n in range(300)})
    assert proxy.labels == LABELS
    taught = inputs[::3]
    await proxy.train(taught, [int(row[0][1:]) >= 150 for row in taught])
    said = await proxy.answer(inputs)
    wrong = [n for n, each in enumerate(said) if each is None or each.answer != (n >= 150)]
    assert all(abs(n - 150) <= 5 for n in wrong), wrong
    ordered = [each.confidence for each in said if each]
    assert ordered == sorted(ordered)


@pytest.mark.parametrize("answer", [True, False])
async def test_answers_that_are_all_alike_leave_the_order_of_scores(answer: bool) -> None:
    proxy = ScoreProxy({f"t{n}": float(n) for n in range(50)})
    await proxy.train([("t3",), ("t9",)], [answer, answer])
    said = [each for each in await proxy.answer([(f"t{n}",) for n in range(50)]) if each]
    assert {each.answer for each in said} == {answer}
    assert [each.confidence for each in said] == sorted(each.confidence for each in said)


async def test_labels_of_the_users_own_come_with_how_sure_they_are() -> None:
    scores: dict[Key, Any] = {
        "a": {"label": "x", "confidence": 0.7},
        "b": {"label": "other", "confidence": 0.9},
        "c": {"label": None, "confidence": 0.9},
        "d": {"label": "y", "confidence": None},
    }
    said = await LabelProxy(scores, ["x", "y"]).answer([("a",), ("b",), ("c",), ("d",), ("e",)])
    assert said == [Judged("x", 0.7), None, None, None, None]


def test_equal_inputs_have_the_greatest_of_their_scores() -> None:
    struct = {"label": "x", "confidence": 0.1}, {"label": "y", "confidence": 0.3}
    assert scores_by_input(["a", "a"], struct) == scores_by_input(["a", "a"], struct[::-1]) == {"a": struct[1]}
    assert scores_by_input(["a", "b"], [math.nan, None]).keys() == {"a"}


def test_what_is_drawn_does_not_hang_on_the_order_of_rows() -> None:
    rows = [(f"t{n % 7}",) for n in range(20)]
    one, other = Population.of(rows), Population.of(rows[::-1])
    assert sorted(one.keys) == sorted(other.keys)
    assert one.drawn(3, "x") == other.drawn(3, "x")
    assert one.drawn(3, "x") != one.drawn(3, "y")
    kept = one.without(one.drawn(3, "x"))
    assert len(kept.inputs) == 4
    assert set(kept.keys) == set(kept.inputs)


async def test_a_reference_asks_each_input_once_and_keeps_failures(store: Store) -> None:
    model = ScriptedModel([(r"number 1\d\b", ModelError("no")), ("", by_number)], name="large")
    run = new_run(store)
    reference = Reference(stage_of(run, model, task=even(), type=BOOLEAN), run, strict=False, most=4)
    asked: dict[Key, Any] = {row[0]: row for row in ROWS}
    await reference.ask(asked)
    asked_of_rows = len(model.calls)
    await reference.ask(asked)
    await reference.close()
    assert len(model.calls) == asked_of_rows
    assert reference.said["number 25"] == Said(True)
    assert [key for key, said in reference.said.items() if said.error] == [f"number {n}" for n in range(10, 20)]
    assert not strangers()
