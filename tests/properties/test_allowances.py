"""What may be lost, and the probability of being wrong, are handed out in parts that never add up to more than there is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import anserdb
from anserdb.engine.dataflow.run import QueryRun
from anserdb.engine.physical.joining.blocking import part
from anserdb.engine.physical.stages import Stages
from anserdb.engine.plan.nodes import Arms, Plan
from anserdb.engine.plan.walk import calls
from anserdb.engine.settings import Settings
from anserdb.optimizer.context import Context
from anserdb.optimizer.pipeline import optimize
from anserdb.optimizer.search.chooser import DELTA, Chooser
from anserdb.optimizer.search.estimation import DELTA as DELTA_OF_ESTIMATES
from anserdb.optimizer.search.estimation import delta_of
from anserdb.optimizer.search.loss import PARTS, LossBudget
from anserdb.optimizer.search.serving import Steady
from anserdb.optimizer.search.tally import Earlier
from anserdb.udfs.models.base import Capabilities
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.plans import database, naive_plan

SLIGHTLY = 1e-9
EVENTS = st.tuples(
    st.sampled_from(["offers", "takes", "gives back", "keeps", "keeps nothing", "exchange"]),
    st.integers(0, 3),
    st.floats(0, 1),
    st.integers(0, 10_000),
)


@given(st.lists(EVENTS, max_size=60), st.integers(0, 2), st.sampled_from([0.02, 0.1, 0.5]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_sites_take_never_exceeds_the_total(
    events: list[tuple[str, int, float, int]], silent: int, total: float, rounds: bool
) -> None:
    budget = LossBudget(total, 4 + silent)  # some sites never begin
    if rounds:
        budget.exchange()
    taken, kept = defaultdict[str, float](float), defaultdict[str, float](float)
    for what, number, share, seed in events:
        site, dice = f"site {number}", Random(seed)
        match what:
            case "offers":
                budget.offer(site, sorted(dice.choice([0.0, 10 * dice.random()]) for _ in range(PARTS)))
            case "takes":
                taken[site] = share * budget.room(site)
                budget.take(site, taken[site])
            case "gives back":
                taken[site] *= share
                budget.take(site, taken[site])
            case "keeps":
                kept[site] = share * budget.kept.room(site)
                budget.kept.take(site, kept[site])
            case "exchange":
                if rounds:
                    budget.exchange()
            case _:
                kept[site] = 0.0
                budget.kept.take(site, 0.0)
        assert sum(taken.values()) <= total + SLIGHTLY
        # In rounds, filters that decide in the same one do not know of each other: then some give way in the next.
        assert rounds or sum(kept.values()) <= total + SLIGHTLY
        for name in (f"site {number}" for number in range(4)):
            assert rounds or 0 <= budget.kept.room(name) <= total
            assert 0 <= budget.room(name) <= total - sum(t for other, t in taken.items() if other != name) + SLIGHTLY


@dataclass
class Call:
    """A call site on its way: its chooser, and what its rows were allowed to lose by the proof of the day."""

    chooser: Chooser
    agrees: Sequence[float]
    rows: int
    ends_after: int
    allowed: float = 0.0
    deltas: dict[int, object] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return self.chooser.seen >= min(self.rows, self.ends_after)

    @property
    def now(self) -> float:
        """What a row that comes now may lose."""
        arm = self.chooser.serving
        proof = self.chooser.tallies[arm].certified if arm else None
        return proof.loss if proof else 0.0

    @property
    def share(self) -> float:
        """What its rows may lose, as a share of those that came."""
        return self.allowed / max(1, self.chooser.seen)

    def row(self, dice: Random) -> None:
        assignment = self.chooser.assign()
        assert assignment is not None  # a row at a time always ends a wave
        if assignment.serve:
            self.allowed += self.now
        said = {arm: 0 if not arm or dice.random() < self.agrees[arm - 1] else arm for arm in assignment.arms}
        self.chooser.learn(assignment, said)
        self.deltas |= {id(t.certified): t.certified for t in self.chooser.tallies.values() if t.certified}

    @property
    def delta(self) -> float:
        """Of all proofs that it ever began."""
        return sum(proof.delta for proof in self.deltas.values())  # type: ignore[attr-defined]


class Fickle(Steady):
    """Lets now and then another of the arms serve that may."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice

    def who(self, row: int, serving: int, proven: Callable[[], Sequence[int]]) -> int | None:
        return self._dice.choice(proven()) if self._dice.random() < 0.05 else serving


def chooser_of(budget: LossBudget, site: str, rows: int, costs: Sequence[float], **more: Any) -> Chooser:
    return Chooser(
        len(costs),
        lambda: costs,
        partial(budget.room, site),
        partial(budget.take, site),
        rows=lambda: float(rows),
        levels=budget.levels,
        offers=partial(budget.offer, site),
        spare=partial(budget.spare, site),
        delta=DELTA / budget.sites,
        **more,
    )


def call_of(budget: LossBudget, site: str, dice: Random) -> Call:
    rows, worth = dice.choice([200, 600]), dice.choice([1.0, 30.0, 1000.0])
    agrees = [dice.choice([1.0, 0.95, 0.8, 0.5]) for _ in range(dice.randrange(1, 6))]
    costs = [worth, *(worth * dice.choice([0.02, 0.1, 0.5]) for _ in agrees)]
    earlier = {}
    if dice.random() < 0.4:  # of some arms earlier runs know something
        earlier = {n: Earlier(rows=60, agreed=60 * a, kept=30) for n, a in enumerate(agrees, 1) if dice.random() < 0.7}
    follows = Fickle(dice) if dice.random() < 0.5 else Steady()
    chooser = chooser_of(budget, site, rows, costs, earlier=earlier, follows=follows)
    return Call(chooser, agrees, rows, rows if dice.random() < 0.7 else dice.randrange(rows))


def test_filters_that_decided_in_one_round_do_not_stand_together_if_that_is_too_much() -> None:
    kept = LossBudget(0.1, 3).kept
    kept.exchange()
    for site, lost in (("a", 0.07), ("b", 0.02), ("c", 0.06)):
        assert kept.room(site) == 0.1
        kept.take(site, lost)
    kept.exchange()
    assert kept.room("b") == pytest.approx(0.04)
    assert kept.room("c") == pytest.approx(0.08)
    assert kept.room("a") == pytest.approx(0.02)  # it gives way


def test_within_a_round_nothing_depends_on_who_is_first() -> None:
    def rooms(order: Sequence[str]) -> dict[str, tuple[float, float, tuple[float, float]]]:
        budget = LossBudget(0.1, 3)
        budget.exchange()
        for _ in range(2):
            for site in order:
                worth = {"a": 1.0, "b": 5.0, "c": 2.0}[site]
                budget.offer(site, [worth * part for part in range(PARTS)])
                budget.take(site, budget.room(site) / 2)
                budget.kept.take(site, budget.kept.room(site) / 4)
            budget.exchange()
        return {site: (budget.room(site), budget.kept.room(site), budget.spare(site)) for site in "abc"}

    assert rooms("abc") == rooms("cba") == rooms("bca")
    assert rooms("abc")["b"][0] > rooms("abc")["a"][0]


@given(st.integers(0, 1_000_000), st.integers(1, 4), st.booleans())
@settings(max_examples=12, deadline=None)
def test_rows_of_all_calls_together_lose_no_more_than_is_allowed(seed: int, count: int, rounds: bool) -> None:
    dice, total = Random(seed), 0.4
    budget = LossBudget(total, count + dice.randrange(2))
    if rounds:
        budget.exchange()
    made = [call_of(budget, f"site {n}", dice) for n in range(count)]
    left = [*made]
    while left:
        call = dice.choice(left)
        if rounds and dice.random() < 0.3:
            budget.exchange()
        for _ in range(dice.choice([1, 20, 300])):  # some are far ahead of others
            if not call.over:
                call.row(dice)
            assert sum(each.now for each in made) <= total + SLIGHTLY
        left = [each for each in left if not each.over]
    assert sum(call.share for call in made) <= total + SLIGHTLY
    for call in made:
        assert call.delta <= DELTA / budget.sites + SLIGHTLY


def test_what_answered_rows_may_have_lost_is_not_given_back() -> None:
    budget, dice = LossBudget(0.1, 2), Random(1)
    first, second = (
        Call(chooser_of(budget, f"worth {worth}", 4000, [worth, worth / 50]), [0.95], 4000, 4000)
        for worth in (1.0, 1000.0)
    )
    while first.chooser.seen < 2200:
        first.row(dice)
    assert first.now > 0.05
    while not second.over:
        for call in (first, second):
            if not call.over:
                call.row(dice)
    assert not first.now  # the other would save more
    assert 0.03 < first.share + second.share <= 0.1 + SLIGHTLY


def test_an_arm_that_loses_more_than_others_have_left_may_not_take_over() -> None:
    budget, dice = LossBudget(0.1, 2), Random(1)
    earlier = {1: Earlier(rows=400, agreed=400), 2: Earlier(rows=400, agreed=388)}
    one = Call(chooser_of(budget, "one", 2000, [1.0, 0.02, 0.05], earlier=earlier), [1.0, 0.97], 2000, 2000)
    while not one.now:
        one.row(dice)
    assert one.chooser.proven() == [0, 1, 2]
    budget.take("other", budget.room("other"))
    assert one.chooser.proven() == [0, 1]


QUERIES = (
    "SELECT id, LLM_CLASSIFY(body, ['a', 'b']), LLM_EXTRACT(body, {p: 'VARCHAR'}), LLM_EXTRACT(body, {q: 'VARCHAR'}) FROM tickets",
    "SELECT id FROM tickets WHERE LLM_FILTER('angry', body) AND LLM_CLASSIFY(subject, ['a', 'b']) = 'a'",
    "SELECT t.id, LLM_EXTRACT(t.body, {p: 'VARCHAR'}) AS p, LLM_EXTRACT(t.body, {q: 'VARCHAR'}) AS q"
    " FROM tickets t, customers c WHERE LLM_FILTER('the same person', t.subject, c.name)",
    "SELECT t.id, LLM_EXTRACT(t.body, {p: 'VARCHAR'}, on_error := 'details') AS p,"
    " LLM_EXTRACT(t.body, {q: 'VARCHAR'}, on_error := 'details') AS q"
    " FROM tickets t, customers c WHERE LLM_FILTER('the same person', t.subject, c.name)",
    "SELECT id, LLM_CLASSIFY(k, ['x', 'y']) FROM (SELECT id, LLM_CLASSIFY(body, ['a', 'b']) AS k FROM tickets)",
)


def handed_out(plan: Plan) -> Iterator[Arms]:
    """Of each call that other arms may answer, a group of calls being one."""
    for node in calls(plan):
        merge = node.call.merge
        if node.call.arms is not None:
            yield node.call.arms
        elif merge is not None and merge.sites[0] == node.call.output.name:
            yield merge.arms


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("candidates", [(), ("tiny", "mini")])
@pytest.mark.parametrize("quality", [0.8, 0.95])
def test_a_plan_hands_out_no_more_than_its_user_allows(query: str, candidates: tuple[str, ...], quality: float) -> None:
    with database() as connection:
        naive = naive_plan(query, connection)
    chosen = Settings(llm_min_quality=quality, llm_objective="cost")
    plan = optimize(naive, Context(chosen, lambda _: Capabilities(), candidates=candidates)).plan
    arms = list(handed_out(plan))
    joins = sum(1 - node.call.pairs.recall for node in calls(plan) if node.call.pairs is not None)
    assert arms or joins
    assert joins + max((each.loss for each in arms), default=0.0) <= 1 - quality + SLIGHTLY
    assert len({each.loss for each in arms}) <= 1
    assert sum(1 / each.sites for each in arms) <= 1 + SLIGHTLY  # shares of the probability of being wrong


def test_calls_of_one_label_in_several_blocks_share_what_may_be_lost() -> None:
    with anserdb.connect(store=":memory:", llm_model="large", llm_min_quality=0.9, llm_objective="cost") as con:
        for name in ("large", "small"):
            con.register_model(name, ScriptedModel(name=name))
        con.sql("SET llm_candidate_models = 'small'")
        con.sql("CREATE TABLE tickets AS SELECT 'x' AS body, 1 AS id")
        session = con._open_session()
        planned = session.plan(QUERIES[-1])
        assert planned is not None
        stages = Stages(QueryRun(session.store, session.settings), session.models)
        one, other = (stages.stage(node.call) for node in calls(planned.plan))
        assert one.call.site == other.call.site
        assert one.armed is not None
        assert other.armed is not None
        one.armed.chooser.took(0.08)
        assert other.armed.chooser.room() <= 0.02 + SLIGHTLY


def test_looks_share_one_probability_of_being_wrong() -> None:
    assert sum(map(part, range(60))) <= 1
    assert sum(map(delta_of, range(1, 60))) <= DELTA_OF_ESTIMATES
