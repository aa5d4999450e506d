"""The part of a plan below a grouping that goes back to a parent: its operators, strung together with paths."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from ...dataflow.demand import Demand as Wanted
from ...dataflow.run import QueryRun
from ...errors import InternalError
from ...plan.nodes import Call, Compute, Filter, Keep, Plan, Relation, Sort, Source, Unnest
from ...plan.passing import passed_through
from ...plan.walk import calls, columns, walk
from ..duck import Duck
from ..fragments import over, relational_sql, unique_sql
from ..operators.call import WINDOW_FACTOR, run_call
from ..operators.call_stage import CallStage
from ..operators.fragment import BATCH, BatchQuery, run_fragment
from ..operators.leaving import AsAnswered, Leaving
from ..operators.selection import Selection, run_selection, selection
from ..operators.unnest import unnested_schema
from ..pipe import Pipe
from ..stages import Stages
from ..travel import restored, travelling
from .ancestry import Ancestry, Level, deeper, path_field, path_names
from .doubting import Doubting
from .expand import run_expand
from .hearing import AsHeard, heard_schema
from .regroup import Regroup, grouped, run_regroup
from .release import Release, run_release
from .roots import Room, roots_schema, run_roots


@dataclass(frozen=True, slots=True)
class Below:
    """What is not nested.

    Parameters
    ----------
    opened : opens a relational text on the user's connection, once it has the inputs of its leaf. feeds : told which plan's
        rows a call reads.
    """

    opened: Callable[[str, Source | Relation], Pipe]
    feeds: Callable[[Plan, CallStage], None]


class NestedPipes:
    """Strings the operators of one nested part of a plan together.

    Parameters
    ----------
    below : how the source is opened. plan : the outermost grouping with a ``pop``, or the top of what stands above lists that are
        used as they are written. wanted : how many rows the reader above needs.
    """

    def __init__(
        self, duck: Duck, run: QueryRun, stages: Stages, below: Below, plan: Plan, wanted: Wanted | None
    ) -> None:
        self._duck, self._run, self._stages, self._below, self._plan = duck, run, stages, below, plan
        self._check = plan.pop.check if isinstance(plan, Relation) and plan.pop else ()
        asking = [self._stages.stage(c.call) for c in calls(plan)]
        caps = [stage.rows_in_flight for stage in asking]
        groups_wanted = None if wanted is None else (lambda: wanted.rows - wanted.found)
        self._room = Room(
            WINDOW_FACTOR * max(caps, default=1), groups_wanted, lambda: sum(s.caller.progress.calls for s in asking)
        )

    def groups(self) -> Pipe:
        """The groups of the outermost grouping, as they close."""
        assert isinstance(self._plan, Relation)
        pipe = self._regroup(self._plan, Ancestry(()))
        schema = _without_path(pipe.schema)
        return Pipe(schema, _without_paths(pipe.batches, schema), free=True)

    def rows(self) -> Pipe:
        """Rows in the order of the query, where nobody groups them."""
        release = Release()
        pipe = self._pipe(self._plan, release.ancestry)
        schema = _without_path(pipe.schema)
        return Pipe(schema, run_release(pipe.batches, release, schema))

    def _pipe(self, plan: Plan, ancestry: Ancestry) -> Pipe:
        relational = relational_sql(plan)
        if relational is not None:
            return self._source(*relational, ancestry)
        match plan:
            case Call():
                return self._call(plan, ancestry)
            case Unnest():
                return self._unnest(plan, ancestry)
            case Compute() | Filter() | Keep():
                return self._fragment(plan, ancestry)
            case Relation() if plan.pop is not None:
                return self._regroup(plan, ancestry)
            case Source():
                return self._passed(plan, ancestry)
        raise InternalError(f"No nested operator runs {type(plan).__name__}.")

    def _source(self, sql: str, leaf: Source | Relation, ancestry: Ancestry) -> Pipe:
        pipe = self._below.opened(unique_sql(sql, self._check) if self._check else sql, leaf)
        return Pipe(roots_schema(pipe.schema), run_roots(pipe.batches, ancestry, self._room))

    def _passed(self, plan: Source, ancestry: Ancestry) -> Pipe:
        """A query in FROM of which only the columns have other names."""
        through = passed_through(plan)
        assert through is not None  # the rule has seen to it
        relation, below_names = through
        below = self._pipe(relation.inputs[0].plan, ancestry)
        path = path_names(below.schema)
        new = [*(c.name for c in columns(plan)), *path]
        fields = [below.schema.field(old).with_name(name) for old, name in zip((*below_names, *path), new, strict=True)]
        chosen = Selection((), (*below_names, *path), pa.schema(fields))
        return Pipe(chosen.schema, run_selection(below.batches, chosen))

    def _unnest(self, plan: Unnest, ancestry: Ancestry) -> Pipe:
        below = self._heard(plan.input, ancestry) if plan.early else self._pipe(plan.input, ancestry)
        schema = deeper(unnested_schema(plan, below.schema))
        return Pipe(schema, run_expand(below.batches, plan, ancestry))

    def _heard(self, plan: Plan, ancestry: Ancestry) -> Pipe:
        """A call whose lists are used as they grow, perhaps with fewer columns; its batches have some that say how."""
        if not isinstance(plan, Keep):
            assert isinstance(plan, Call)  # the rule marks no other
            return self._call(plan, ancestry, AsHeard)
        below = self._heard(plan.input, ancestry)
        kept = pa.schema([below.schema.field(name) for name in (*plan.names, *path_names(below.schema))])
        chosen = Selection((), tuple(heard_schema(kept).names), heard_schema(kept))
        return Pipe(kept, run_selection(below.batches, chosen))

    def _call(self, plan: Call, ancestry: Ancestry, list_leaving: type[AsAnswered] = AsAnswered) -> Pipe:
        stage = self._stages.stage(plan.call)
        below = self._pipe(plan.input, ancestry)
        leaving: Callable[[Callable[[], None]], Leaving] = AsAnswered
        if ancestry.holds(len(path_names(below.schema))):
            doubtful = list_leaving is AsAnswered and any(isinstance(n, Unnest) and n.early for n in walk(plan.input))
            leaving = partial(Doubting, ancestry) if doubtful and self._is_strict(plan) else list_leaving
        self._below.feeds(plan.input, stage)
        # Not patient: rows to come may wait for the groups of those that are here.
        batches = run_call(below.batches, stage, self._run, patient=False, leaving=leaving, root=path_field(0).name)
        return Pipe(below.schema.append(stage.field()), batches)

    def _is_strict(self, plan: Call) -> bool:
        return (plan.call.options.get("on_error") or self._run.settings.llm_on_error) == "fail"

    def _fragment(self, plan: Compute | Filter | Keep, ancestry: Ancestry) -> Pipe:
        nodes: list[Compute | Filter | Keep | Sort] = []
        below: Plan = plan
        while isinstance(below, Compute | Filter | Keep):
            nodes.append(below)
            below = below.input
        pipe = self._pipe(below, ancestry)
        path = tuple(path_names(pipe.schema))
        nodes = [replace(n, names=(*n.names, *path)) if isinstance(n, Keep) else n for n in nodes]
        if (chosen := selection(nodes[::-1], pipe.schema)) is not None:
            return Pipe(chosen.schema, run_selection(pipe.batches, chosen, ancestry.kept))
        sql = f"({restored(BATCH, below, path)}) AS __batch_in"
        for node in reversed(nodes):
            sql = over(node, sql) if node is nodes[0] else f"({over(node, sql)}) AS __below"
        # A computed column comes behind the path: the plan's columns first again.
        named = ", ".join((*(c.name for c in columns(plan)), *path))
        query = BatchQuery(self._duck.bare(), travelling(f"SELECT {named} FROM ({sql})", plan, path))
        schema = query.apply(pa.RecordBatch.from_pylist([], schema=pipe.schema)).schema
        return Pipe(schema, run_fragment(pipe.batches, query, ancestry.kept, ancestry.failed))

    def _regroup(self, plan: Relation, ancestry: Ancestry) -> Pipe:
        assert plan.pop is not None
        assert plan.grouping is not None
        (item,) = plan.inputs
        below_ancestry = ancestry.under(Level(plan.pop.length))
        below = self._pipe(item.plan, below_ancestry)
        path, out = tuple(path_names(below.schema)), tuple(c.name for c in plan.columns)
        source = f"({restored(BATCH, item.plan, path)}) AS {item.name}"
        grouping = plan.grouping

        def sql(length: int) -> str:
            return travelling(grouped(grouping, out, source, path[:length], path), plan, path[:length])

        regroup = Regroup(self._duck.bare(), sql, below.schema, plan.pop.length + 1)
        made = pa.schema([*regroup.out, *(path_field(i) for i in range(plan.pop.length + 1))])
        return Pipe(made, run_regroup(below.batches, regroup, below_ancestry))


def _without_path(schema: pa.Schema) -> pa.Schema:
    path = path_names(schema)
    return pa.schema([field for field in schema if field.name not in path])


async def _without_paths(batches: AsyncIterator[pa.RecordBatch], schema: pa.Schema) -> AsyncIterator[pa.RecordBatch]:
    async for batch in batches:
        yield pa.RecordBatch.from_arrays([batch.column(name) for name in schema.names], schema=schema)
