"""Call sites made ready to run: the model opened, the task lowered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import ClassVar, Protocol

from ...optimizer.arms.code import LEFT_OPEN
from ...optimizer.kinds_of_prompt import REASONS, WRITTEN
from ...optimizer.search.agreement import agreement
from ...optimizer.search.chooser import DELTA, Chooser
from ...optimizer.search.loss import LossBudget
from ...optimizer.search.row_sets import row_sets
from ...optimizer.search.serving import Steady
from ...optimizer.search.tally import Earlier
from ...udfs.functions import functions
from ...udfs.models.base import Model, ModelSpec
from ...udfs.spec import Arguments, Task
from ..dataflow.caller import Caller
from ..dataflow.run import QueryRun
from ..plan.nodes import Arm, Arms, SemanticCall
from ..plan.truth import Truth
from ..store import Store
from ..types import parse_type
from .arm_costs import ArmCosts
from .arm_tasks import as_asked
from .arranged import Arranged
from .batch_size import BatchSize
from .cascading.making import proxied
from .merged_groups import MergedGroups
from .online_stage import taught
from .operators.call_stage import Armed, CallStage, Merging, Screened, Written
from .operators.judged import Judged, Labels
from .operators.label_grid import TOGETHER
from .operators.reorder import Prefixes
from .prefix_order import Grant
from .real_costs import RealCosts, paid_for
from .routing import Routing
from .row_fates import Batching, NeverInvalid
from .rows_to_come import Questions

BLOCKS = "blocks"
"""Who asks about many pairs in a prompt has counters of its own, as an arm has: its calls are unlike the others."""
KEYS = "keys"
"""Who asks rows of a join for keys, likewise."""


class Models(Protocol):
    """Opens models by their catalogue name."""

    def open(self, name: str) -> tuple[Model, ModelSpec]:
        """The model, ready to be called, and its entry. Raises BindError for an unknown name."""
        ...

    def find(self, name: str) -> ModelSpec:
        """Its entry alone. Raises as :meth:`open`."""
        ...


class Stages:
    """The call sites of one query; each is made once and kept for EXPLAIN ANALYZE."""

    compares: ClassVar[bool] = False
    """Whether all arms answer every row, and nothing is decided."""

    def __init__(self, run: QueryRun, models: Models) -> None:
        self._run, self._models = run, models
        self._made: dict[str, CallStage] = {}
        self._arranged: dict[str, Arranged] = {}
        self._loss: LossBudget | None = None
        self.labels: dict[Truth, Labels] = {}
        self._routing = Routing(run)
        self._groups = MergedGroups(run, models, self._made, self._arm, self._loss_of, compares=self.compares)

    def stage(self, call: SemanticCall) -> CallStage:
        """The stage of a call."""
        if call.output.name not in self._made:
            self._made[call.output.name] = self._make(call)
        return self._made[call.output.name]

    def prefixes(self, call: SemanticCall) -> Prefixes | None:
        """How prompts of the call are to share beginnings; ``None``: they come as they come."""
        if not (call.rows_by_prefix or call.inputs_by_prefix):
            return None
        stage = self.stage(call)
        known = self._models.open(call.options["model"])[0].capabilities
        grant = Grant(known.prefix_block_tokens, known.prefix_min_tokens)
        arranged = self._arranged.get(call.output.name)
        lanes, notes = stage.caller.concurrency, stage.caller.progress.notes
        return Prefixes(call, stage.task, lanes=lanes, grant=grant, arranged=arranged, notes=notes)

    def tasks(self) -> Mapping[str, Task]:
        """Tasks made so far, by output column."""
        return {name: stage.task for name, stage in self._made.items()}

    def loss(self) -> LossBudget | None:
        """What the query may lose, once a call has arms that share it."""
        return self._loss

    @property
    def store(self) -> Store:
        """The query's."""
        return self._run.store

    @property
    def made(self) -> Mapping[str, CallStage]:
        """Stages made so far, by output column."""
        return self._made

    @property
    def groups(self) -> Mapping[str, Merging]:
        """Groups of calls that one prompt may answer, as far as rows have come, by the output column of their first."""
        return self._groups.made

    def model(self, call: SemanticCall) -> Model:
        """The model of a call."""
        return self._models.open(call.options["model"])[0]

    def spec(self, name: str) -> ModelSpec:
        """A model's entry in the catalogue."""
        return self._models.find(name)

    def _make(self, call: SemanticCall) -> CallStage:
        model, spec = self._models.open(call.options["model"])
        written = model
        if call.inputs_by_prefix:
            model = self._arranged[call.output.name] = Arranged(model)
        function = functions()[call.function]
        task = make_task(call, model)
        caller = self._caller(call, model, spec)
        batching = self._batching(call, model, spec, caller)
        stage = CallStage(call, task, parse_type(call.output.type), caller, function.kind == "aggregate", batching)
        if call.merge is not None:
            stage = replace(stage, merged=self._groups.part(call, call.merge))
        if call.pairs is not None:
            stage = replace(stage, blocks=partial(self._caller, call, NeverInvalid(written), spec, BLOCKS))
        if call.pairs is not None and call.pairs.labels:
            stage = replace(stage, labels=partial(self._caller, call, NeverInvalid(written), spec, TOGETHER))
        if call.pairs is not None and call.pairs.keys:
            stage = replace(stage, keys=partial(self._keys, call, written, spec))
        if call.online is not None:
            stage = replace(stage, taught=taught(stage, call.online, self._run, self._models, self._arm))
        if call.cascade is not None:
            stage = replace(stage, proxied=proxied(stage, call.cascade, self._run, self._arm, self._models))
        return stage if call.arms is None else self._with_arms(stage, call.arms)

    def _with_arms(self, stage: CallStage, arms: Arms) -> CallStage:
        """PROFILE compares those that would be routed, too."""
        if not arms.routed or self.compares:
            return replace(stage, armed=self._armed(stage, arms))
        others = tuple(self._arm(stage.call, arm) for arm in arms.arms)
        return replace(stage, routed=self._routing.routed(stage, others, arms))

    def _armed(self, reference: CallStage, arms: Arms) -> Armed:
        stages = tuple(self._arm(reference.call, arm) for arm in arms.arms)
        costs = ArmCosts((reference, *stages), arms.objective)
        questions, loss = Questions(reference.caller.progress), self._loss_of(arms)
        judged, to_many = self._judged(reference.call, arms), functions()[reference.call.function].to_many
        site = reference.call.output.name  # calls in different blocks of a query may have the same label
        real = RealCosts((reference, *stages), costs, arms.objective) if judged is None else None
        chooser = Chooser(
            len(stages) + 1,
            costs.of if real is None else real.of,
            room=partial(loss.room, site),
            took=partial(_take, loss, site, judged),
            beside=costs.beside if real is None else real.beside,
            rows=questions.expected,
            boolean=reference.type.kind == "boolean",
            same=row_sets if to_many else agreement,
            whole=not to_many and reference.type.kind not in ("struct", "list"),
            levels=loss.levels,
            offers=partial(loss.offer, site),
            spare=partial(loss.spare, site),
            kept_room=partial(loss.kept.room, site),
            kept_took=partial(loss.kept.take, site),
            earlier={number: Earlier(*known) for number, known in enumerate(arms.earlier, 1)},
            compares=self.compares,
            delta=DELTA / arms.sites,
            follows=Steady() if real is None else real.serving,
        )
        name = str(reference.call.options["model"])
        names = (name, *(arm.name for arm in arms.arms))
        return Armed(names, stages, chooser, costs, partial(paid_for, reference), questions, judged, real)

    def _judged(self, call: SemanticCall, arms: Arms) -> Judged | None:
        if call.truth is None:
            return None
        notice = partial(self._run.notice, about=f"{call.truth.words} of {call.site}")
        return Judged(call.site, str(call.options["model"]), call.truth, self.labels, 1.0 - arms.loss, notice)

    def _loss_of(self, arms: Arms) -> LossBudget:
        """What the plan may lose; all its sites share it."""
        if self._loss is None:
            self._loss = LossBudget(arms.loss, arms.sites)
        return self._loss

    def _arm(self, call: SemanticCall, arm: Arm) -> CallStage:
        made = replace(call, options={**call.options, **arm.options}, arms=None, inputs_by_prefix=False)
        model, spec = self._models.open(made.options["model"])
        caller = self._caller(made, model, spec, arm.name)
        batching = self._batching(made, model, spec, caller, arm.name)
        screened = Screened() if arm.checked or arm.beside else None
        written = Written(str(made.options[WRITTEN])) if WRITTEN in made.options else None
        if written is not None:
            screened = Screened(expected=LEFT_OPEN)
        kind, task = parse_type(call.output.type), make_task(made, model)
        beside = tuple(self._arm(call, Arm(f"{arm.name}: {name}", {"model": name})) for name in arm.beside)
        stage = CallStage(made, task, kind, caller, batching=batching, screened=screened, written=written)
        return replace(stage, beside=beside)

    def _caller(self, call: SemanticCall, model: Model, spec: ModelSpec, arm: str = "") -> Caller:
        cache = bool(call.options["cache"])
        timeout = call.options.get("timeout")
        return Caller(
            self._run, model, spec, site=call.site, function=call.function, cache=cache, timeout=timeout, arm=arm
        )

    def _batching(
        self, call: SemanticCall, model: Model, spec: ModelSpec, alone: Caller, arm: str = ""
    ) -> Batching | None:
        if not shares_prompts(call):
            return None
        size = BatchSize.of(call.options["batch_rows"], spec)
        together = self._caller(call, NeverInvalid(model), spec, arm)
        return Batching(size, model.identity, bool(call.options["cache"]), together, alone)

    def _keys(self, call: SemanticCall, model: Model, spec: ModelSpec) -> Batching:
        alone = self._caller(call, model, spec, KEYS)
        together = self._caller(call, NeverInvalid(model), spec, KEYS)
        return Batching(BatchSize.of("auto", spec), model.identity, bool(call.options["cache"]), together, alone)


def _take(budget: LossBudget, site: str, judged: Judged | None, loss: float) -> None:
    """What a site's decision may lose. Of the reference that is nothing, unless labels say otherwise: then others have less."""
    own = 0.0 if judged is None else min(budget.total, judged.loss)
    budget.take(site, loss or own)


def shares_prompts(call: SemanticCall) -> bool:
    """Whether several rows of the call share a prompt (``batch_rows``)."""
    return bool(call.options.get("batch_rows", 1) != 1)


def make_task(call: SemanticCall, model: Model) -> Task:
    """Lower a bound call for a model."""
    capabilities = model.capabilities
    if shares_prompts(call) or call.options.get(REASONS):
        # An answer among others, or behind a reason, has no probability of its own: the task decides by what the model says.
        capabilities = replace(capabilities, choice_scores=False)
    arguments = Arguments(
        constants=call.constants,
        types=tuple(parse_type(t) for t in call.argument_types),
        texts=call.argument_texts,
        options=call.options,
    )
    return as_asked(functions()[call.function].lower(arguments, capabilities), call)
