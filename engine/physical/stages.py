"""Call sites made ready to run: the model opened, the task lowered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ...udfs.functions import functions
from ...udfs.models.base import Model, ModelSpec
from ...udfs.spec import Arguments, Task
from ..dataflow.caller import Caller
from ..dataflow.run import QueryRun
from ..plan.nodes import SemanticCall
from ..types import parse_type
from .operators.call import CallStage


class Models(Protocol):
    """Opens models by their catalogue name."""

    def open(self, name: str) -> tuple[Model, ModelSpec]:
        """The model, ready to be called, and its entry. Raises BindError for an unknown name."""
        ...


class Stages:
    """The call sites of one query; each is made once and kept for EXPLAIN ANALYZE."""

    def __init__(self, run: QueryRun, models: Models) -> None:
        self._run, self._models = run, models
        self._made: dict[str, CallStage] = {}

    def stage(self, call: SemanticCall) -> CallStage:
        """The stage of a call."""
        if call.output.name not in self._made:
            self._made[call.output.name] = self._make(call)
        return self._made[call.output.name]

    def tasks(self) -> Mapping[str, Task]:
        """Tasks made so far, by output column."""
        return {name: stage.task for name, stage in self._made.items()}

    def _make(self, call: SemanticCall) -> CallStage:
        model, spec = self._models.open(call.options["model"])
        function = functions()[call.function]
        task = make_task(call, model)
        cache = bool(call.options["cache"])
        timeout = call.options.get("timeout")
        caller = Caller(self._run, model, spec, site=call.site, function=call.function, cache=cache, timeout=timeout)
        return CallStage(call, task, parse_type(call.output.type), caller, function.kind == "aggregate")


def make_task(call: SemanticCall, model: Model) -> Task:
    """Lower a bound call for a model."""
    arguments = Arguments(
        constants=call.constants,
        types=tuple(parse_type(t) for t in call.argument_types),
        texts=call.argument_texts,
        options=call.options,
    )
    return functions()[call.function].lower(arguments, model.capabilities)
