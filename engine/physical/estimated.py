"""A grouping estimated from a sample: rows are drawn and asked, look by look, then DuckDB groups those that were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ...optimizer.search.estimation import Floats
from ...optimizer.search.sampler import Ints, Number, Sampler
from ..plan.nodes import Call, Column, Input, Keep, Plan, Relation, Source
from ..plan.sampling import Estimand
from ..plan.walk import calls, columns, with_children
from .duck import Duck
from .fragments import relational_sql

SEED = 20261123
"""Of the order in which rows are drawn: the same table is sampled the same way again, so that its answers are in the store."""
_WHICH = (Column("__n", "BIGINT", "row"), Column("__h", "BIGINT", "group"))


@dataclass(frozen=True, slots=True)
class Hands:
    """What the executor does for an estimate.

    Parameters
    ----------
    have : materialises inputs and shows them to the user's connection. table : the rows of a plan.
    show : a table under a name, with DuckDB's types.
    """

    have: Callable[[tuple[Input, ...]], None]
    table: Callable[[Plan], pa.Table]
    show: Callable[[str, pa.Table, Sequence[str]], None]


class Estimated:
    """One grouping with a :class:`~..plan.sampling.Sampling`.

    Parameters
    ----------
    plan : the grouping. duck : the user's connection. hands : of who runs it.
    """

    def __init__(self, plan: Relation, duck: Duck, hands: Hands) -> None:
        assert plan.sampling is not None
        self._plan, self._sampling, self._duck, self._hands = plan, plan.sampling, duck, hands
        self._rows = plan.inputs[0].name
        self._base = f"{self._rows}__base"
        self._below = _lowest(plan.inputs[0].plan).input
        self.sampled = [at for at, estimand in enumerate(self._sampling.estimands) if estimand.estimated]
        self.sampler = self._sampler()

    def text(self) -> str:
        """Ask as many rows as it takes, and give the text of the result."""
        answered: list[pa.Table] = []
        plan = self._over(())
        while len(rows := self.sampler.draw()) or not answered:
            answered.append(self._asked(rows, len(answered)))
            self._see(answered[-1], columns(plan))
            self.sampler.judge()
        self._hands.show(self._rows, pa.concat_tables(answered), [column.type for column in columns(plan)])
        return self._plan.sql if self.sampler.whole else self._scaled()

    def groups(self) -> list[str]:
        """What the groups are called: the values of their keys."""
        keys = [f"coalesce(any_value({key})::VARCHAR, 'NULL')" for key in self._sampling.keys]
        shown = f"concat_ws(', ', {', '.join(keys)})" if keys else "''"
        return [str(row[0]) for row in self._fetched(f"SELECT {shown} FROM {self._base} GROUP BY __h ORDER BY __h")]

    # --- before anybody is asked ----------------------------------------------------------------------------------

    def _sampler(self) -> Sampler:
        self._hands.have((Input(self._base, self._numbered()),))
        groups = self._array(f"SELECT __h FROM {self._base} ORDER BY __n")
        numbers = [self._number(self._sampling.estimands[at]) for at in self.sampled]
        return Sampler(groups.astype(np.int64), numbers, self._sampling.accuracy, SEED)

    def _numbered(self) -> Relation:
        """The rows, each with its number and its group's."""
        relational = relational_sql(self._below)
        assert relational is not None  # the rule saw to it
        sql, leaf = relational
        keys = ", ".join(self._sampling.keys)
        group = f"dense_rank() OVER (ORDER BY {keys}) - 1" if keys else "0::BIGINT"
        numbered = f"SELECT *, row_number() OVER () - 1 AS __n FROM ({sql}) AS __below"
        made = f"SELECT *, {group} AS __h FROM ({numbered}) AS __numbered"
        return Relation(made, leaf.inputs, (*columns(self._below), *_WHICH), session=True)

    def _number(self, estimand: Estimand) -> Number:
        """Bounds of a value, whatever is answered."""
        answers = [f"(VALUES (TRUE), (FALSE), (NULL::BOOLEAN)) AS __of_{name}({name})" for name in estimand.free]
        every = f"SELECT __h, TRY(CAST({estimand.value} AS DOUBLE)) AS v FROM {', '.join([self._base, *answers])}"
        bounds = f"SELECT coalesce({{}}(v), 0) FROM ({every}) GROUP BY __h ORDER BY __h"
        lows, highs = (self._array(bounds.format(end)) for end in ("min", "max"))
        return Number(estimand.kind != "avg", estimand.kind == "count", lows, highs)

    # --- asking ---------------------------------------------------------------------------------------------------

    def _asked(self, rows: Ints, look: int) -> pa.Table:
        """What becomes of some rows."""
        name = f"{self._base}_{look}"
        self._hands.show(name, pa.table({"__n": pa.array(rows, pa.int64())}), ["BIGINT"])
        drawn = f"SELECT * FROM {self._base} WHERE __n IN (SELECT __n FROM {name}) ORDER BY __n"
        return self._hands.table(self._over((drawn,)))

    def _over(self, drawn: Sequence[str]) -> Plan:
        """The operators over some of the rows."""
        leaf = Relation(drawn[0] if drawn else "", (), (*columns(self._below), *_WHICH))
        return _onto(self._plan.inputs[0].plan, self._below, leaf)

    def _see(self, answered: pa.Table, made: Sequence[Column]) -> None:
        name = f"{self._base}_seen"
        self._hands.show(name, answered, [column.type for column in made])
        for number, at in enumerate(self.sampled):
            estimand = self._sampling.estimands[at]
            seen = f"SELECT __n, CAST({estimand.value} AS DOUBLE) AS v FROM {name} WHERE {estimand.present}"
            table = self._duck.table(seen)
            values: Floats = table.column("v").to_numpy().astype(np.float64)
            self.sampler.see(number, table.column("__n").to_numpy(), values)

    # --- the result -----------------------------------------------------------------------------------------------

    def _scaled(self) -> str:
        """The grouping of the rows asked, its counts and sums multiplied."""
        factors = self.sampler.factors()
        scale = f"{self._base}_scale"
        self._hands.show(scale, pa.table({"__h": range(len(factors)), "__factor": factors}), ["BIGINT", "DOUBLE"])
        keys = f" GROUP BY {', '.join(self._sampling.keys)}" if self._sampling.keys else ""
        names = [column.name for column in self._plan.columns]
        asked = [estimand.item for estimand in self._sampling.estimands if estimand.kind != "exact"]
        asked_names = [name for name, e in zip(names, self._sampling.estimands, strict=True) if e.kind != "exact"]
        sources = [f"({_grouped(asked, asked_names, self._rows, keys)}) AS __asked", f"{scale} USING (__h)"]
        known = {name: e.item for name, e in zip(names, self._sampling.estimands, strict=True) if e.kind == "exact"}
        if known:
            exact = _grouped(list(known.values()), list(known), self._base, " GROUP BY __h")
            sources.append(f"({exact}) AS __known USING (__h)")
        columns = zip(self._plan.columns, self._sampling.estimands, strict=True)
        items = ", ".join(_item(column, estimand) for column, estimand in columns)
        return f"SELECT {items} FROM {' JOIN '.join(sources)}"

    def _array(self, sql: str) -> Floats:
        array: Floats = self._duck.table(sql).column(0).to_numpy()
        return array

    def _fetched(self, sql: str) -> list[tuple[object, ...]]:
        return list(self._duck.execute(sql).fetchall())


def _grouped(items: Sequence[str], names: Sequence[str], rows: str, keys: str) -> str:
    sql = f"SELECT {', '.join([*items, 'any_value(__h)'])} FROM {rows}{keys}"
    return f"SELECT * FROM ({sql}) AS __groups({', '.join([*names, '__h'])})"


def _item(column: Column, estimand: Estimand) -> str:
    if estimand.kind not in ("count", "sum"):
        return column.name
    scaled = f"{column.name}::DOUBLE * __factor"
    whole = column.type.endswith("INT") or column.type == "INTEGER"
    scaled = f"round({scaled})" if whole else scaled
    return f"CASE WHEN __factor = 1 THEN {column.name} ELSE CAST({scaled} AS {column.type}) END AS {column.name}"


def _lowest(plan: Plan) -> Call:
    return calls(plan)[0]


def _onto(plan: Plan, below: Plan, leaf: Relation) -> Plan:
    """The plan with other rows at the bottom, whose numbers are carried to the top."""
    if plan is below:
        return leaf
    assert not isinstance(plan, Source | Relation)
    lower = with_children(plan, (_onto(plan.input, below, leaf),))
    return replace(lower, names=(*lower.names, *(c.name for c in _WHICH))) if isinstance(lower, Keep) else lower
