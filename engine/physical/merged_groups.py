"""Groups of calls that one prompt may answer, made ready to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol

from ...optimizer.search.chooser import DELTA, Chooser
from ...optimizer.search.loss import LossBudget
from ...udfs.functions import functions
from ...udfs.models.base import Model, ModelSpec
from ...udfs.spec import Arguments
from ..dataflow.caller import Caller
from ..dataflow.memo import Memo
from ..dataflow.run import QueryRun
from ..plan.nodes import Arm, Arms, Merge, SemanticCall
from ..types import parse_type
from .merging import KeptRows, PaidFor, WayCosts, agreement_of_all
from .operators.call_stage import CallStage, Merging, Part, Way
from .row_fates import NeverInvalid
from .rows_to_come import Questions

REMEMBERED = 100_000
COMPARED = "for comparison"
EXPLORE_SHARE = 0.08
"""More than for an arm of one call: one prompt for two costs half of the two, and not a tenth as a small model may."""


class Opens(Protocol):
    """Opens models by their catalogue name."""

    def open(self, name: str) -> tuple[Model, ModelSpec]:
        """The model, ready to be called, and its entry."""
        ...


class MergedGroups:
    """The groups of one query; each is made when its first rows come.

    Parameters
    ----------
    run : the query. models : who opens them. stages : the query's, by output column. alone : makes the stage of an arm.
    loss : what the plan may lose. compares : every row is asked in all ways, and nothing is decided.
    """

    def __init__(
        self,
        run: QueryRun,
        models: Opens,
        stages: Mapping[str, CallStage],
        alone: Callable[[SemanticCall, Arm], CallStage],
        loss: Callable[[Arms], LossBudget],
        *,
        compares: bool = False,
    ) -> None:
        self._run, self._models, self._stages, self._alone, self._loss = run, models, stages, alone, loss
        self._compares = compares
        self._made: dict[str, Merging] = {}

    @property
    def made(self) -> Mapping[str, Merging]:
        """Groups made so far, by the output column of the first call."""
        return self._made

    def part(self, call: SemanticCall, merge: Merge) -> Part:
        """The part of a call in its group."""
        return Part(merge.sites.index(call.output.name), partial(self._group, merge))

    def _group(self, merge: Merge) -> Merging:
        name = merge.sites[0]
        if name not in self._made:
            self._made[name] = self._make(merge)
        return self._made[name]

    def _make(self, merge: Merge) -> Merging:
        stages = tuple(self._stages[name] for name in merge.sites)
        first = stages[0]
        others = zip(merge.arms.arms, merge.together, strict=True)
        ways = (
            self._way(stages, Arm(COMPARED, {}), together=False),
            *(self._way(stages, arm, together=one) for arm, one in others),
        )
        costs = WayCosts(ways, merge.reach, merge.arms.objective)
        kept = KeptRows([place for place, stage in enumerate(stages) if stage.type.kind == "boolean"])
        questions, loss, site = Questions(first.caller.progress), self._loss(merge.arms), merge.sites[0]
        chooser = Chooser(
            len(ways),
            costs.of,
            room=partial(loss.room, site),
            took=partial(loss.take, site),
            rows=questions.expected,
            same=agreement_of_all,
            explore=EXPLORE_SHARE,
            compares=self._compares,
            delta=DELTA / merge.arms.sites,
        )
        chooser.also = lambda arm: kept.enough(arm, chooser.target)
        decided, notes = Memo[str | bytes, int](REMEMBERED, REMEMBERED), first.caller.progress.notes
        return Merging(ways, chooser, costs, questions, kept.see, PaidFor(ways), decided, notes)

    def _way(self, stages: tuple[CallStage, ...], arm: Arm, *, together: bool) -> Way:
        make = self._together if together else self._alone
        return Way(arm.name, tuple(make(stage.call, arm) for stage in stages), together)

    def _together(self, call: SemanticCall, arm: Arm) -> CallStage:
        """A call of a group as one prompt for all asks it: without probabilities, which an answer among others has none of."""
        made = replace(call, options={**call.options, **arm.options}, merge=None)
        model, spec = self._models.open(made.options["model"])
        caller = Caller(
            self._run,
            NeverInvalid(model),
            spec,
            site=call.site,
            function=call.function,
            cache=bool(call.options["cache"]),
            timeout=call.options.get("timeout"),
            arm=arm.name,
        )
        types = tuple(parse_type(t) for t in call.argument_types)
        arguments = Arguments(call.constants, types, call.argument_texts, call.options)
        task = functions()[call.function].lower(arguments, replace(model.capabilities, choice_scores=False))
        return CallStage(made, task, parse_type(call.output.type), caller)
