"""Chunks of a plain DuckDB query, answered by the same runtime as everything else."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import duckdb
import pyarrow as pa

from ...udfs.spec import DYNAMIC, Arguments, SemanticFunction
from ..dataflow.run import QueryRun
from ..errors import BindError
from ..physical.embedded import answer_chunk, arrow_duckdb_type, wait_on_loop
from ..physical.model_pool import ModelPool
from ..physical.operators.call_stage import CallStage
from ..physical.stages import Stages
from ..plan.nodes import Column, SemanticCall
from ..settings import Settings
from ..sql.common_options import COMMON_OPTIONS
from ..store import Store
from ..types import details_type, parse_type
from .duckdb_macros import ABSENT, is_constant, returns_vector

Inputs = Sequence[pa.Array]


class Chunks:
    """Everything that the functions of one loaded connection share. Their methods are called from DuckDB's threads."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store, self.settings = store, settings
        self.models = ModelPool(store, settings)
        self.error: BaseException | None = None
        self._json = duckdb.connect(":memory:")
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Count calls and money from here on."""
        with self._lock:
            self.run = QueryRun(self.store, self.settings)
            self._stages = Stages(self.run, self.models)
            self._bound: dict[tuple[str, str, tuple[pa.DataType, ...]], CallStage] = {}

    def answer(self, function: SemanticFunction, calls: pa.Array, given: Inputs) -> pa.ChunkedArray:
        """Answers of one chunk; ``calls`` holds each row's constants as JSON."""
        try:
            return self._answer(function, calls, [a for a in given if not _is_absent(a.type)])
        except BaseException as error:
            self.error = error  # DuckDB hands on only the text
            raise

    def close(self) -> None:
        """Close models and the store."""
        self.models.close()
        self.store.close()
        self._json.close()

    # --- inside -------------------------------------------------------------------------------------------------

    def _answer(self, function: SemanticFunction, calls: pa.Array, inputs: Inputs) -> pa.ChunkedArray:
        run, parts, places = self.run, [], []
        for call, rows in _grouped(calls.to_pylist()).items():
            chosen = pa.array(rows, pa.int64())
            batch = pa.record_batch([a.take(chosen) for a in inputs] or [chosen], names=_names(inputs) or ["__row"])
            parts.append((batch, self._stage(function, call, inputs)))
            places += rows
        answered = wait_on_loop(partial(_all, parts, run), run)
        columns = [self._encoded(function, part, stage) for part, (_, stage) in zip(answered, parts, strict=True)]
        if len(columns) == 1:
            return columns[0]
        order = sorted(range(len(places)), key=places.__getitem__)
        return pa.chunked_array(columns).take(pa.array(order, pa.int64()))

    def _encoded(self, function: SemanticFunction, part: list[pa.RecordBatch], stage: CallStage) -> pa.ChunkedArray:
        answers = pa.chunked_array([b.column(b.num_columns - 1) for b in part], stage.field().type)
        if returns_vector(function):
            return answers.cast(pa.list_(pa.float32()))
        with self._lock:
            self._json.register("answers", pa.table({"x": answers}))
            as_json = f"to_json(CAST(x AS {stage.type.text}))::VARCHAR"
            sql = f"SELECT CASE WHEN x IS NOT NULL THEN {as_json} END AS x FROM answers"
            column = self._json.sql(sql).to_arrow_table().column("x")
            self._json.unregister("answers")
        return column

    def _stage(self, function: SemanticFunction, call: str, inputs: Inputs) -> CallStage:
        key = (function.sql_name, call, tuple(a.type for a in inputs))
        with self._lock:
            if key not in self._bound:
                self._bound[key] = self._stages.stage(self._bind(function, json.loads(call), inputs))
            return self._bound[key]

    def _bind(self, function: SemanticFunction, call: Mapping[str, Any], inputs: Inputs) -> SemanticCall:
        options = self._options(function, call["options"])
        constants = call["constants"] or {}
        given = [constants[p.name] if is_constant(p) else DYNAMIC for p in function.parameters if not p.variadic]
        while given and given[-1] is None:  # an optional one that was left out
            given.pop()
        given += [DYNAMIC] * (len(inputs) - sum(value is DYNAMIC for value in given))
        types = iter([arrow_duckdb_type(a.type) for a in inputs])
        argument_types = tuple(next(types) if value is DYNAMIC else "VARCHAR" for value in given)
        texts = tuple("text" if value is DYNAMIC else str(value) for value in given)
        arguments = Arguments(tuple(given), tuple(parse_type(t) for t in argument_types), texts, options)
        result = function.returns(arguments, self.models.capabilities(options["model"]))
        number = len(self._bound) + 1
        return SemanticCall(
            site=f"{number}:{function.sql_name}",
            function=function.sql_name,
            constants=arguments.constants,
            arguments=tuple(_names(inputs)),
            argument_types=argument_types,
            argument_texts=texts,
            options=options,
            guard=None,
            output=Column(
                f"__s{number}", (details_type(result) if _details(options) else result).text, function.sql_name
            ),
        )

    def _options(self, function: SemanticFunction, given: Mapping[str, Any]) -> dict[str, Any]:
        settings = self.settings
        model = settings.llm_model if function.model_kind == "generate" else settings.llm_embedding_model
        options: dict[str, Any] = {"model": model, "on_error": settings.llm_on_error, "cache": settings.llm_cache}
        for option in (*COMMON_OPTIONS, *function.options):
            value = given.get(option.name)
            if value is None:
                continue
            try:
                options[option.name] = option.check(value)
            except (ValueError, TypeError) as error:
                raise BindError(f"{function.sql_name}: option {option.name} {error}.", name=option.name) from None
        if _details(options) and returns_vector(function):
            raise BindError(f"{function.sql_name} takes on_error := 'details' on an AnserDB connection only.")
        return options


async def _all(parts: Sequence[tuple[pa.RecordBatch, CallStage]], run: QueryRun) -> list[list[pa.RecordBatch]]:
    tasks = [asyncio.ensure_future(answer_chunk(batch, stage, run)) for batch, stage in parts]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _grouped(calls: Sequence[str]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for row, call in enumerate(calls):
        rows.setdefault(call, []).append(row)
    return rows


def _details(options: Mapping[str, Any]) -> bool:
    on_error: str = options["on_error"]
    return on_error == "details"


def _names(inputs: Inputs) -> list[str]:
    return [f"a{i}" for i in range(len(inputs))]


def _is_absent(type_: pa.DataType) -> bool:
    return bool(pa.types.is_struct(type_) and type_.num_fields == 1 and type_.field(0).name == ABSENT)
