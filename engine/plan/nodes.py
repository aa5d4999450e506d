"""What a query means: a closed union of frozen nodes. No node executes anything.

Relational work stays in DuckDB fragments, as text. The columns that travel between nodes have generated names
(``__c1`` base, ``__a1`` computed, ``__s1`` semantic), and every :class:`Expr` is the user's own words with references and
calls replaced by those names, so that a rule can move it without parsing it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .cascade import Cascade
from .online import Online
from .pairs import Pairs
from .sampling import Sampling
from .truth import Truth


@dataclass(frozen=True, slots=True)
class Expr:
    """A DuckDB expression over plan columns.

    Parameters
    ----------
    sql : text that any DuckDB connection can evaluate over a relation holding the columns in ``uses``.
    uses : names of the plan columns it reads.
    label : the user's words, for EXPLAIN.
    """

    sql: str
    uses: frozenset[str]
    label: str


@dataclass(frozen=True, slots=True)
class Column:
    """A named output of a node: plan name, DuckDB type text, and the user's words for it."""

    name: str
    type: str
    label: str


@dataclass(frozen=True, slots=True)
class Computed:
    """A column computed by DuckDB from an expression."""

    column: Column
    expr: Expr


@dataclass(frozen=True, slots=True)
class Arm:
    """A way to answer a call that is not its reference: the same call with other options.

    Parameters
    ----------
    name : for people: ``small``, ``small, 8 rows a prompt``. options : those that differ.
    checked : only its FALSE counts; the reference is asked about the other rows.
    beside : other models that are asked the same; where they do not all agree, the reference is asked.
    """

    name: str
    options: Mapping[str, Any] = field(hash=False)
    checked: bool = False
    beside: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether it is the call's own prompt, sent to one model, for one row or for several."""
        return not self.checked and not self.beside and self.options.keys() <= {"model", "batch_rows"}


@dataclass(frozen=True, slots=True)
class Arms:
    """Arms that may answer a call in the place of its reference.

    Parameters
    ----------
    arms : in no order. objective : what the cheapest is cheapest in. loss : share of rows in which a whole plan may differ from
        the reference. sites : how many calls of the plan share it. earlier : of each arm, what the store knows of its agreement
        on this data: rows, the sum of agreements, rows that the reference kept; empty: nothing is known.
    routed : which of them answers is decided row by row, by a policy that audits teach (by a rule).
    """

    arms: tuple[Arm, ...]
    objective: Literal["cost", "time"]
    loss: float
    sites: int
    earlier: tuple[tuple[float, float, float], ...] = ()
    routed: bool = False


@dataclass(frozen=True, slots=True)
class TopK:
    """The call's answers are read by an ORDER BY alone, of which so many rows are kept: any numbers of the same order will do.

    Parameters
    ----------
    rows : that are kept; what the others get stands behind them. algorithm : how the first ones are found.
    descending, nulls_first : of the ORDER BY.
    """

    rows: int
    algorithm: str
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class Merge:
    """Calls over the same inputs that one prompt may answer, where that has proved to agree with asking for each alone.

    Parameters
    ----------
    sites : their output columns, in the order in which rows meet them. reach : the share of the first one's rows that each sees.
    arms : other ways to answer all of them, with what they may lose. together : per arm, whether one prompt asks for all.
    """

    sites: tuple[str, ...]
    reach: tuple[float, ...]
    arms: Arms
    together: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class SemanticCall:
    """One call site, bound.

    Parameters
    ----------
    site : stable label within the statement, for instance ``2:LLM_FILTER``.
    function : canonical name. constants : per position the literal, or ``DYNAMIC``.
    arguments : plan columns that hold the dynamic arguments, in position order.
    argument_types, argument_texts : per position (also of literals), DuckDB type and the user's words.
    options : named arguments, complete with defaults (``model``, ``on_error``, ``temperature``, ``max_tokens``, ``cache``, …).
    guard : plan column (BOOLEAN) that must be TRUE for a row to be asked; ``None``: every row.
    output : the result column.
    distinct : equal inputs are gathered and asked once (set by a rule).
    rows_by_prefix : rows are asked in an order in which prompts share beginnings, and given back in their own (by a rule).
    inputs_by_prefix : inputs that rows share come first in the prompt (by a rule).
    arms : others that may answer, where they agree with it well enough (by a rule; ``None``: only the call as written).
    top_k : rows are ranked instead of answered one by one (``None``: they are not).
    pairs : rows are pairs of which only likely ones have to be asked (by a rule; ``None``: every row is).
    merge : calls, this one among them, that one prompt may answer (by a rule; ``None``: it is asked for alone).
    truth : right answers for some inputs, with which all that may answer are compared (``None``: with the reference).
    cascade : what is promised of its answers, and who may answer for it under that promise (``None``: nothing).
    online : students that it teaches may answer where they are sure (by a rule; ``None``: it has none).
    """

    site: str
    function: str
    constants: tuple[Any, ...]
    arguments: tuple[str, ...]
    argument_types: tuple[str, ...]
    argument_texts: tuple[str, ...]
    options: Mapping[str, Any] = field(hash=False)
    guard: str | None
    output: Column
    distinct: bool = False
    rows_by_prefix: bool = False
    inputs_by_prefix: bool = False
    arms: Arms | None = None
    top_k: TopK | None = None
    pairs: Pairs | None = None
    merge: Merge | None = None
    truth: Truth | None = None
    cascade: Cascade | None = None
    online: Online | None = None

    def same_answer(self, other: SemanticCall) -> bool:
        """Whether both would ask the same of the same row (guards aside)."""
        mine = (self.function, self.constants, self.arguments, dict(self.options), self.top_k, self.truth, self.cascade)
        theirs = (other.function, other.constants, other.arguments, dict(other.options), other.top_k, other.truth)
        return mine == (*theirs, other.cascade)


@dataclass(frozen=True, slots=True)
class FirstRun:
    """How the inputs of embedded calls are found before the statement runs.

    Parameters
    ----------
    sql : a query that shows the look-ups all that the statement will ask, and changes nothing ("": there is none).
    refusal : why there is none.
    """

    sql: str = ""
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """A plan whose result a DuckDB fragment reads under ``name``."""

    name: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Source:
    """The FROM of a SELECT block, opened: ``SELECT <items> FROM <from_sql>`` with its outputs renamed to plan columns.

    ``prelude`` is the ``WITH …`` text in scope; ``items`` are (user's words, outputs) where a star yields several.
    ``limit`` is pushed here by a rule. ``passes``: the rows of its only input pass through as they come (set by a rule).
    """

    prelude: str
    from_sql: str
    items: tuple[SourceItem, ...]
    inputs: tuple[Input, ...] = ()
    limit: int | None = None
    passes: bool = False


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One select item of a Source, in the user's words, and the plan columns it yields (several for a star)."""

    sql: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Compute:
    """Adds columns computed by DuckDB."""

    input: Plan
    columns: tuple[Computed, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """Keeps rows whose predicate is TRUE. ``semantic``: it reads a call's answer."""

    input: Plan
    predicate: Expr


@dataclass(frozen=True, slots=True)
class Call:
    """Adds the answer column of one semantic call."""

    input: Plan
    call: SemanticCall


@dataclass(frozen=True, slots=True)
class Unnest:
    """A row per element of a list, in order; the list gives way to the element or to its fields.

    Parameters
    ----------
    column : the list. outputs : a column per field. keep_empty : a row whose list is empty or NULL stays, its outputs NULL.
    label : the user's words, for EXPLAIN.
    early : elements are rows as soon as the model has written them, before the list is whole (set by a rule).
    whole : an element is a column as it is, whatever its type.
    ordinal : which number of the element, from 1, the last output is: a field of it, one that is counted here, or none.
    """

    input: Plan
    column: str
    outputs: tuple[Column, ...]
    keep_empty: bool = False
    label: str = ""
    early: bool = False
    whole: bool = False
    ordinal: Literal["field", "counted", "none"] = "field"


@dataclass(frozen=True, slots=True)
class Keep:
    """Carries only the named columns upward (projection pruning)."""

    input: Plan
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sort:
    """Orders its rows by ``keys`` (``expr [ASC|DESC] [NULLS …], …``), and keeps the first ``limit``, if given.

    Only rules make it: they copy the order of a Relation below the calls, so that only rows that will be seen are asked.
    """

    input: Plan
    keys: Expr
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Demand:
    """The reader above stops after ``rows`` rows: make them in waves and cancel the rest."""

    input: Plan
    rows: int


@dataclass(frozen=True, slots=True)
class Conjunction:
    """The filters below it that are each no more than a call's answer, and these calls, are run as one (set by a rule).

    ``input`` shows them in the order in which they would be run one by one. Rows that pass all are the same in any order; which
    calls a row is asked by is found out as it goes.
    """

    input: Plan


@dataclass(frozen=True, slots=True)
class Condition:
    """The calls below it that a condition reads are asked row by row until its value is known (set by a rule).

    ``input`` shows them as they would be run one by one; an answer that is not asked for is NULL. ``condition`` : of AND, OR, NOT over
    answers and columns that are there before. ``keep`` : ``'true'``: its parts are filters below, and rows of which it is TRUE
    leave; ``'value'``: all leave, and somebody above reads the condition as a whole.
    """

    input: Plan
    condition: Expr
    keep: Literal["true", "value"] = "true"


@dataclass(frozen=True, slots=True)
class Grouping:
    """A GROUP BY in its parts, so that it can be done for some groups at a time.

    Parameters
    ----------
    rows : the name under which its text reads the input. items : what it yields. keys : the grouping expressions.
    having : the condition on groups; "": none.
    """

    rows: str
    items: tuple[str, ...]
    keys: tuple[str, ...]
    having: str = ""


@dataclass(frozen=True, slots=True)
class Pop:
    """How far a grouping goes back up the levels that calls with many rows have made.

    Parameters
    ----------
    length : ordinals of a row's path that its group is found by: with 1, each group belongs to one row of the source.
    check : columns of the source that are only a key if no two of its rows agree in them, which is found out as it is read;
        (): a declared key says so.
    label : the user's words for whose parts a group has, for EXPLAIN.
    """

    length: int
    check: tuple[str, ...] = ()
    label: str = ""


@dataclass(frozen=True, slots=True)
class Relation:
    """A DuckDB statement that reads its inputs by name: the part above the semantic operators, in the user's own words.

    Parameters
    ----------
    sql : the text. prelude : the ``WITH …`` in scope of it.
    inputs : what it reads besides base tables. uses : plan columns it reads from them.
    columns : its result. limit : rows it needs at most from its (single) input because nothing in it reorders,
        groups or multiplies rows (``None``: it needs all).
    rowwise : it yields one row per input row (a plain projection, perhaps with ORDER BY and that LIMIT).
    order_by : its ORDER BY over the input's columns, when ``rowwise`` and expressible there (``None``: keeps input order).
    embedded : calls left in the text as look-ups named ``__anser_<output>``, because no plan can lift them from their place.
    first_run : how the inputs of ``embedded`` are found beforehand. prefetch : find and ask them so (set by a rule).
    session : it must run on the user's connection (it reads tables, macros, variables or is not a query).
    grouping : its parts, when it is a GROUP BY that means the same on any connection (``None``: it is not).
    pop : each group is made as soon as all rows of its parent are there (set by a rule; ``None``: all rows come first).
    sampling : its aggregates are estimated from some of its rows (set by a rule).
    label : the user's words for what it does, for EXPLAIN ("": show ``sql``).
    """

    sql: str
    inputs: tuple[Input, ...]
    columns: tuple[Column, ...]
    uses: frozenset[str] = frozenset()
    limit: int | None = None
    rowwise: bool = False
    order_by: Expr | None = None
    embedded: tuple[SemanticCall, ...] = ()
    first_run: FirstRun = FirstRun()
    prefetch: bool = False
    session: bool = False
    grouping: Grouping | None = None
    pop: Pop | None = None
    sampling: Sampling | None = None
    label: str = ""


Plan = Source | Compute | Filter | Call | Unnest | Keep | Sort | Demand | Conjunction | Condition | Relation
