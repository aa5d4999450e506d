"""Conjuncts in an order that statistics suggest leave the rows of the order as written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from anserdb.engine.plan.nodes import Call, Column, Compute, Computed, Expr, Filter, Plan, Relation, SemanticCall
from anserdb.engine.settings import Settings
from anserdb.optimizer.context import Context, NoStatistics
from anserdb.optimizer.cost.figure import Figure
from anserdb.optimizer.pipeline import ORDER, optimize
from tests.support.plans import Evaluator, database, naive_plan

MOVABLE = [
    "LLM_FILTER('angry', body)",
    "LLM_FILTER('polite', body)",
    "LLM_FILTER('late', lower(body))",
    "LLM_FILTER('polite', lower(body))",
    "LLM_FILTER('late', body, subject)",
]
OTHERS = [
    "LLM_FILTER('angry', body) IS NOT NULL",
    "NOT LLM_FILTER('polite', subject)",
    "LLM_FILTER('number', price::INTEGER::VARCHAR)",
    "LLM_FILTER('a reply to', body, LLM_COMPLETE('reply', body))",
    "(LLM_FILTER('late', body) OR LLM_FILTER('polite', body))",
    "year > 2020",
    "random() >= 0",
    "price <> 'free'",
]


@dataclass(frozen=True, slots=True)
class Learnt(NoStatistics):
    """Shares of TRUE by call site."""

    shares: Mapping[str, float] = field(default_factory=dict)

    def selectivity(self, call: SemanticCall, below: Plan | None = None) -> Figure | None:
        share = self.shares.get(call.site.partition(":")[0])
        return None if share is None else Figure(share, "earlier queries")


shares = st.permutations([1.0, 0.95, 0.8, 0.7, 0.5, 0.4, 0.3, 0.1, 0.0])


@st.composite
def queries(draw: st.DrawFn) -> str:
    where = draw(st.lists(st.sampled_from(MOVABLE), min_size=2, max_size=4, unique=True))
    for other in draw(st.lists(st.sampled_from(OTHERS), max_size=2, unique=True)):
        where.insert(draw(st.integers(0, len(where))), other)
    tail = draw(st.sampled_from(["", "", " LIMIT 2"]))
    return f"SELECT id, LLM_FILTER('angry', body) AS angry FROM tickets WHERE price <> 'free' AND {' AND '.join(where)}{tail}"


@given(queries(), shares)
@settings(max_examples=12, deadline=None)
def test_rows_are_those_of_the_order_as_written(sql: str, shares: list[float]) -> None:
    with database() as connection:
        naive = naive_plan(sql, connection)
        context = Context(Settings(), statistics=Learnt({str(site): share for site, share in enumerate(shares)}))
        once = optimize(naive, context, order=ORDER)
        event(f"moved: {'conjunct_order' in once.fired}")
        assert Evaluator(connection).rows(naive) == Evaluator(connection, numbers=iter(range(1000, 2000))).rows(
            once.plan
        )  # type: ignore[arg-type]
        assert optimize(once.plan, context, order=ORDER).plan == once.plan


def test_it_moves_what_was_learnt_to_be_better() -> None:
    sql = "SELECT id FROM tickets WHERE LLM_FILTER('angry', body) AND LLM_FILTER('polite', body)"
    with database() as connection:
        plan = naive_plan(sql, connection)
    assert "conjunct_order" in optimize(plan, Context(Settings(), statistics=Learnt({"1": 0.9, "2": 0.1}))).fired
    assert "conjunct_order" not in optimize(plan, Context(Settings(), statistics=Learnt({"1": 0.1, "2": 0.9}))).fired


def test_what_reads_the_other_answer_stays() -> None:
    """A copy of the lower answer is made between the two; the plan's check would name the rule if it moved."""
    sql = "SELECT id FROM tickets WHERE LLM_FILTER('angry', body) AND LLM_FILTER('polite', body)"
    with database() as connection:
        plan = naive_plan(sql, connection)
    assert isinstance(plan, Relation)
    upper = plan.inputs[0].plan
    assert isinstance(upper, Filter)
    assert isinstance(upper.input, Call)
    (answer,) = upper.input.input.predicate.uses  # type: ignore[union-attr]
    copy = Computed(Column("__a99", "BOOLEAN", "again"), Expr(answer, frozenset({answer}), "again"))
    between = replace(upper.input, input=Compute(upper.input.input, (copy,)))
    plan = replace(plan, inputs=(replace(plan.inputs[0], plan=replace(upper, input=between)),))
    assert (
        optimize(plan, Context(Settings(), statistics=Learnt({"1": 0.9, "2": 0.1})), order=("conjunct_order",)).plan
        == plan
    )
