"""Runs a plan: opens the DuckDB fragment at the bottom, strings the semantic operators on it, and reads them from the top.

Preparation (registering inputs, opening readers) happens in the caller's thread; the operators run on the shared event
loop; DuckDB pulls the finished batches from threads of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import duckdb
import pyarrow as pa

from ...optimizer.asked import asked
from ...optimizer.ordering.adaptive import FEW_ROWS, Tuning
from ..dataflow import loop, streams
from ..dataflow.bridge import from_reader, to_reader
from ..dataflow.demand import Demand as Wanted
from ..dataflow.run import QueryRun
from ..errors import InternalError
from ..plan.conjuncts import conjuncts
from ..plan.nodes import (
    Call,
    Compute,
    Condition,
    Conjunction,
    Demand,
    Filter,
    Input,
    Keep,
    Plan,
    Relation,
    Sort,
    Source,
    TopK,
    Unnest,
)
from ..plan.walk import calls, columns, transform_up, walk
from .counted_reader import CountedReader
from .duck import Duck, Spool, spooled
from .embedded import Lookups, wait_on_loop
from .estimate_report import report
from .estimated import Estimated, Hands
from .estimates import cardinality
from .fragments import over, plain_columns, relational_sql
from .labels import read_labels
from .meetings import Meetings, meets
from .nested.pipes import Below, NestedPipes
from .nested.possible import early, nests, not_nested
from .operators.call import run_call
from .operators.call_stage import CallStage, Proxied
from .operators.certified import STOPS_EARLY, run_certified, run_referred
from .operators.condition import Decision, run_condition
from .operators.conjunction import Conjunct, run_conjunction
from .operators.fragment import BATCH, BatchQuery, run_fragment
from .operators.kept import for_demand
from .operators.leaving import AsAnswered, InOrder, Leaving
from .operators.paired import run_paired
from .operators.reorder import run_looked_at, run_reordered
from .operators.selection import Selection, run_selection, selection
from .operators.top_k import run_top_k
from .operators.unnest import run_unnest, unnested_schema
from .partial import Partial
from .pipe import Batches, Pipe
from .plan_graph import stage_graph
from .prefetch import prefetch
from .projection import projection_sql
from .row_groups import in_row_groups, row_groups, waits
from .rows_known import of_stage
from .slices import sliced
from .stages import Stages
from .travel import restored, travelling


class Executor:
    """One execution of one plan. Not reusable; :meth:`close` gives back what it registered."""

    def __init__(self, duck: Duck, run: QueryRun, stages: Stages) -> None:
        self._duck, self._run, self._stages = duck, run, stages
        self._registered: list[str] = []
        self._lookups = Lookups(duck, run, stages)
        self._partial = Partial(run, None)
        self._source: CountedReader | None = None
        self._counts = False
        self._meetings: Meetings | None = None
        self._bare: list[duckdb.DuckDBPyConnection] = []

    def read(self, plan: Relation) -> Spool:
        """Open the result of a whole plan."""
        self._partial = Partial(self._run, plan)
        self._run.graph = stage_graph(plan)
        # What arms may save depends on how many rows there are.
        self._counts = self._run.progress.watched or any(node.call.arms or node.call.merge for node in calls(plan))
        if self._run.settings.llm_repeatable_first_runs and meets(plan) and not self._partial.on:
            self._meetings = Meetings(self._stages.loss)
        # Before anything is open that would have to move out of the way.
        for call in (node.call for node in calls(plan)):
            if call.truth is not None and call.arms is not None:
                self._stages.labels[call.truth] = read_labels(self._duck, call)
        return self._read(plan)

    def _read(self, plan: Relation) -> Spool:
        if plan.session:
            self._have(plan.inputs)
            self._lookups.register(plan.embedded)
            if plan.prefetch:
                prefetch(self._duck, self._run, plan, self._lookups.made)
            return self._duck.open(plan.sql)
        (item,) = plan.inputs
        pipe = self._pipe(item.plan, None)
        pipe = Pipe(pipe.schema, self._partial.result(pipe.batches))
        if (renamed := plain_columns(plan)) is not None:
            return self._renamed(pipe, renamed, plan)
        if (projected := projection_sql(plan)) is not None:
            made = self._each(projected, pipe, None)
            return self._renamed(made, tuple(made.schema.names), plan)
        bare = self._duck.bare()
        bare.execute("SET streaming_buffer_size = '1B'")
        batches = in_row_groups(pipe.batches) if waits(plan) else pipe.batches
        bare.register("__raw", to_reader(pipe.schema, batches, self._run))
        bare.execute(f"CREATE TEMP VIEW {item.name} AS {restored('__raw', item.plan)}")
        self._bare.append(bare)
        return spooled(bare.sql(plan.sql))

    def _renamed(self, pipe: Pipe, source: tuple[str, ...], plan: Relation) -> Spool:
        names, types = [c.name for c in plan.columns], [c.type for c in plan.columns]
        fields = [pipe.schema.field(old).with_name(new) for old, new in zip(source, names, strict=True)]
        chosen = Selection((), source, pa.schema(fields))
        return Spool(to_reader(chosen.schema, run_selection(pipe.batches, chosen), self._run), names, types)

    def interrupt(self) -> None:
        """Stop what runs on private connections."""
        for bare in list(self._bare):
            bare.interrupt()

    def close(self) -> None:
        """Unregister inputs and look-ups, close private connections."""
        for bare in self._bare:
            bare.close()
        self._bare = []
        if self._registered:
            self._duck.unregister(self._registered)
            self._registered = []
        self._lookups.unregister()

    def _have(self, inputs: tuple[Input, ...]) -> None:
        """Materialise inputs and show them to the user's connection (STAGE)."""
        tables = {i.name: self._table(i.plan) for i in inputs if i.name not in self._registered}
        self._registered += tables
        self._duck.register(tables, {i.name: [c.type for c in columns(i.plan)] for i in inputs})

    def _table(self, plan: Plan) -> pa.Table:
        if isinstance(plan, Relation):
            spool = self._read(plan)
            return pa.Table.from_batches(row_groups(spool), schema=spool.schema)
        pipe = self._pipe(plan, None)
        batches = wait_on_loop(partial(_collect, pipe.batches), self._run)
        return pa.Table.from_batches(row_groups(batches), schema=pipe.schema)

    def _pipe(self, plan: Plan, wanted: Wanted | None) -> Pipe:
        relational = relational_sql(plan)
        if relational is not None:
            return self._opened(*relational)
        if isinstance(plan, Relation) and plan.sampling is not None:
            return self._estimated(plan)
        if isinstance(plan, Relation) or (wanted is None and early(plan)):
            return self._nested(plan, wanted)
        match plan:
            case Call():
                return self._call(plan, wanted)
            case Unnest():
                below = self._pipe(plan.input, wanted)
                return Pipe(unnested_schema(plan, below.schema), run_unnest(below.batches, plan, wanted))
            case Conjunction():
                return self._conjunction(plan, wanted)
            case Condition():
                return self._condition(plan, wanted)
            case Demand():
                return self._demand(plan)
            case Compute() | Filter() | Keep() | Sort():
                return self._fragment(plan, wanted)
        raise InternalError(f"No operator runs {type(plan).__name__}.")

    def _estimated(self, plan: Relation) -> Pipe:
        """A grouping of which some rows are asked."""

        def show(name: str, table: pa.Table, types: Sequence[str]) -> None:
            self._registered.append(name)
            self._duck.register({name: table}, {name: types})

        estimated = Estimated(plan, self._duck, Hands(self._have, self._table, show))
        sql = estimated.text()
        report(estimated, plan, self._run)
        return self._opened(sql, replace(plan, inputs=()))

    def _opened(self, sql: str, leaf: Source | Relation) -> Pipe:
        """A text without calls, whose leaf's inputs are to be had first."""
        self._have(leaf.inputs)
        expected = int(cardinality(self._duck, sql).value) if self._counts else None
        spool = self._duck.open(sql)
        self._source = CountedReader(spool, expected)
        return Pipe(spool.schema, self._partial.source(self._source, self._duck.interrupt))

    def _feeds(self, below: Plan, stage: CallStage) -> None:
        """Tell the lowest call how many rows there are."""
        if self._source is not None and relational_sql(below) is not None:
            self._source.feeds(stage.caller.progress)

    def _nested(self, plan: Plan, wanted: Wanted | None) -> Pipe:
        """What calls made of one row, each as soon as it can be; all at once if something forbids it."""
        if self._partial.on or not nests(plan, self._duck):
            return self._pipe(transform_up(plan, not_nested), wanted)
        pipes = NestedPipes(self._duck, self._run, self._stages, Below(self._opened, self._feeds), plan, wanted)
        return pipes.groups() if isinstance(plan, Relation) else pipes.rows()

    def _ranked(self, plan: Call, wanted: TopK) -> Pipe:
        """A call whose rows are compared with each other, and therefore all are needed."""
        stage = self._stages.stage(plan.call)
        below = self._pipe(plan.input, None)
        self._feeds(plan.input, stage)
        return Pipe(below.schema.append(stage.field()), run_top_k(below.batches, stage, self._run, wanted), below.free)

    def _call(self, plan: Call, wanted: Wanted | None) -> Pipe:
        if plan.call.top_k is not None:
            return self._ranked(plan, plan.call.top_k)
        stage = self._stages.stage(plan.call)
        if stage.proxied is not None and wanted is None:
            return self._certified(plan, stage, stage.proxied)
        lowest = not calls(plan.input)
        below = self._pipe(plan.input, None if lowest else wanted)
        self._feeds(plan.input, stage)
        prefixes = self._stages.prefixes(plan.call)
        leaving: Callable[[Callable[[], None]], Leaving] = AsAnswered if below.free else InOrder
        counted = of_stage(stage, below.batches) if lowest else below.batches
        if self._meetings is not None and wanted is None:
            counted = self._meetings.gate(counted) if lowest else counted
            stage, leaving = replace(stage, held=self._meetings.input), self._meetings.leaving
        source = counted if prefixes is None else run_looked_at(counted, prefixes)
        rows = self._partial.below(source, stage.caller.progress, lowest=lowest)
        demand, patient = (wanted, True) if lowest and plan.call.pairs is None else (None, wanted is None)
        ask = partial(
            run_call,
            stage=stage,
            run=self._run,
            demand=demand,
            patient=patient,
            leaving=leaving,
        )
        reordered = plan.call.rows_by_prefix and not below.free
        every = ask if prefixes is None or not reordered else partial(run_reordered, ask=ask, prefixes=prefixes)
        pairs = plan.call.pairs
        batches = every(rows) if pairs is None else run_paired(rows, every, stage, pairs)
        if stage.proxied is not None:
            batches = run_referred(batches, stage, self._run, stage.proxied, STOPS_EARLY)
        return Pipe(below.schema.append(stage.field()), batches, below.free)

    def _certified(self, plan: Call, stage: CallStage, proxied: Proxied) -> Pipe:
        """A call of which something is promised, over all of its rows."""
        below = self._pipe(plan.input, None)
        self._feeds(plan.input, stage)
        each = partial(self._partial.below, site=stage.caller.progress, lowest=not calls(plan.input))
        leaving = AsAnswered if below.free else InOrder
        in_parts = self._partial.on
        rows = run_certified(below.batches, stage, self._run, proxied, each=each, in_parts=in_parts, leaving=leaving)
        return Pipe(below.schema.append(stage.field()), rows, below.free)

    def _conjunction(self, plan: Conjunction, wanted: Wanted | None) -> Pipe:
        """Several calls as one."""
        found = conjuncts(plan)
        relational = relational_sql(found.below)
        if relational is None or self._partial.on:
            return self._pipe(plan.input, wanted)
        tuning = self._tuning(*relational)
        below = self._opened(*relational)
        stages = tuple(self._stages.stage(call) for call in found.calls)
        made = {field.name: field for field in [*below.schema, *(stage.field() for stage in stages)]}
        schema = pa.schema([made[column.name] for column in columns(plan)])
        conjunct = Conjunct(stages, schema, tuning)
        batches = run_conjunction(below.batches, conjunct, self._run, free=below.free, demand=wanted, wanted=wanted)
        return Pipe(schema, batches, below.free)

    def _condition(self, plan: Condition, wanted: Wanted | None) -> Pipe:
        """Several calls of which each row is asked as many as its condition needs."""
        found = asked(plan.input, plan.condition, plan.keep)
        if found is None or self._partial.on:
            return self._pipe(plan.input, wanted)
        relational = relational_sql(found.below)
        tuning = Tuning() if relational is None else self._tuning(*relational)
        lowest = relational is not None
        below = self._pipe(found.below, None if lowest else wanted)
        # A stage is made once, perhaps by who counts calls at once, and from the call as it stands in the plan.
        stages = tuple(replace(self._stages.stage(call), call=call) for call in found.calls)
        made = {field.name: field for field in [*below.schema, *(stage.field() for stage in stages)]}
        schema = pa.schema([made.get(c.name, pa.field(c.name, pa.bool_())) for c in columns(plan)])
        decision = Decision(stages, found.leaves, found.tree, found.known, plan.keep, schema, self._duck.bare(), tuning)
        demand = wanted if lowest else None
        batches = run_condition(below.batches, decision, self._run, free=below.free, demand=demand, wanted=wanted)
        return Pipe(schema, batches, below.free)

    def _tuning(self, sql: str, leaf: Source | Relation) -> Tuning:
        """How to learn an order from so many rows as DuckDB expects."""
        self._have(leaf.inputs)
        return Tuning() if cardinality(self._duck, sql).value >= FEW_ROWS.first else FEW_ROWS

    def _demand(self, plan: Demand) -> Pipe:
        made = [self._stages.stage(c.call) for c in calls(plan.input)]
        calls_at_once = max((s.caller.concurrency for s in made), default=1)
        rows_at_once = max((s.rows_in_flight for s in made), default=1)
        # Where rows share prompts, more rows are as many calls; but those in vain shall not outnumber those wanted.
        cap = min(rows_at_once, max(calls_at_once, plan.rows))
        selective = any(isinstance(n, Filter | Relation) and calls(n) for n in walk(plan.input))
        wanted = Wanted(plan.rows, cap, selective)
        below = self._pipe(plan.input, wanted)
        return Pipe(below.schema, _until(below.batches, wanted))

    def _fragment(self, plan: Compute | Filter | Keep | Sort, wanted: Wanted | None) -> Pipe:
        """A run of relational nodes above a call becomes one query, applied to each batch."""
        nodes: list[Compute | Filter | Keep | Sort] = []
        below: Plan = plan
        while isinstance(below, Compute | Filter | Keep | Sort):
            nodes.append(below)
            below = below.input
        pipe = self._pipe(below, wanted)
        if (chosen := selection(nodes[::-1], pipe.schema)) is not None:
            return Pipe(chosen.schema, run_selection(pipe.batches, chosen, for_demand(wanted)), pipe.free)
        source = restored(BATCH, below)
        sql = f"({source}) AS __batch_in"
        for node in reversed(nodes):
            sql = over(node, sql) if node is nodes[0] else f"({over(node, sql)}) AS __below"
        sql = travelling(sql, plan)
        if any(isinstance(n, Sort) for n in nodes) or not self._binds(sql, pipe.schema):
            return self._barrier(sql, pipe)
        return self._each(sql, pipe, wanted)

    def _each(self, sql: str, pipe: Pipe, wanted: Wanted | None) -> Pipe:
        """The text applied to each batch."""
        query = BatchQuery(self._duck.bare(), sql)
        schema = query.apply(pa.RecordBatch.from_pylist([], schema=pipe.schema)).schema
        return Pipe(schema, run_fragment(pipe.batches, query, for_demand(wanted)), pipe.free)

    def _binds(self, sql: str, schema: pa.Schema) -> bool:
        """Whether the text means something, and the same, without the user's session."""
        return self._duck.binds_bare(sql, BATCH, schema)

    def _barrier(self, sql: str, pipe: Pipe) -> Pipe:
        """The text needs the user's connection, which is still busy with the rows below: read them all first."""
        table = pa.Table.from_batches(loop.submit(_collect(pipe.batches)).result(), schema=pipe.schema)
        name = f"__stage{len(self._registered)}"
        self._registered.append(name)
        self._duck.register({name: table})
        spool = self._duck.open(sql.replace(BATCH, name, 1))
        return Pipe(spool.schema, from_reader(spool, self._run, self._duck.interrupt))


async def _collect(batches: Batches) -> list[pa.RecordBatch]:
    async with streams.closing(batches):
        return [b async for b in batches]


async def _until(batches: Batches, wanted: Wanted) -> Batches:
    """Count what arrives, and stop when it is enough: not a row more, because calls may stand above."""
    async with streams.closing(batches):
        async for batch in batches:
            room = wanted.rows - wanted.found
            wanted.passed(batch.num_rows)
            yield sliced(batch, 0, room)
            if wanted.done():
                return
