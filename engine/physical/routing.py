"""Calls whose rows are routed, made ready to run: one policy for all of a query, and what each knows of the same inputs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ...optimizer.routing.evidence import Said
from ...optimizer.routing.router import Router
from ...optimizer.routing.site import LEAST_BLOCK
from ..dataflow.memo import Memo
from ..dataflow.run import QueryRun
from ..plan.nodes import Arms
from ..store.feedback import Feedback
from .arm_costs import ArmCosts
from .operators.call_stage import CallStage, Routed
from .real_costs import paid_for
from .rows_to_come import Questions
from .task_keys import task_key

REMEMBERED = 50_000
REMEMBERED_BYTES = 16 << 20
AN_ANSWER = 200
"""Bytes, about."""
WITHIN = 0.95
"""Of the money that a query may spend: what rows cost is known by estimate."""


class Routing:
    """The routed calls of one query.

    Parameters
    ----------
    run : the query.
    """

    def __init__(self, run: QueryRun) -> None:
        self._run = run
        self._router: Router | None = None
        self._said: Memo[str | bytes, tuple[tuple[str, Said], ...]] = Memo(REMEMBERED, REMEMBERED_BYTES)
        self._priced: list[tuple[ArmCosts, Questions]] = []

    def routed(self, reference: CallStage, stages: Sequence[CallStage], arms: Arms) -> Routed:
        """The policy of a call and what it needs."""
        every = (reference, *stages)
        costs, questions = ArmCosts(every, arms.objective), Questions(reference.caller.progress)
        self._priced.append((costs, questions))
        if self._router is None:
            self._router = Router(1.0 - arms.loss, spend=self._spend)
        name = reference.call.output.name  # calls in different blocks of a query may have the same label
        names = (str(reference.call.options["model"]), *(arm.name for arm in arms.arms))
        block = max(LEAST_BLOCK, *(stage.rows_in_flight for stage in every))
        site = self._router.site(name, names, costs.of, block=block)
        task = task_key(reference.call, reference.caller.spec)
        feedback = {key: Said(answer) for key, answer in Feedback(self._run.store).of(task).items()}
        return Routed(
            stages=tuple(stages),
            site=site,
            router=self._router,
            costs=costs,
            questions=questions,
            paid_for=partial(paid_for, reference),
            feedback=feedback,
            above=partial(self._above, name),
            tell=partial(self._tell, name),
        )

    def _above(self, site: str, key: str | bytes) -> Sequence[Said]:
        """What other calls said of the same inputs, the latest last."""
        return [said for name, said in self._said.get(key) or () if name != site]

    def _tell(self, site: str, key: str | bytes, said: Said) -> None:
        known = self._said.get(key) or ()
        if all(name != site for name, _ in known):
            self._said.put(key, (*known, (site, said)), (len(known) + 1) * AN_ANSWER + len(key))

    def _spend(self) -> float | None:
        """Money for a row of the call that sees most, where a cap and all prices are known."""
        cap = self._run.settings.llm_max_cost_usd
        rows = max((questions.expected() or 0.0 for _, questions in self._priced), default=0.0)
        if cap is None or not rows or not all(costs.in_money for costs, _ in self._priced):
            return None
        return WITHIN * cap / rows
