"""A semantic call that is ready to run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from ....optimizer.cascades.certificate import Prices
from ....optimizer.cascades.online.examples import Floats
from ....optimizer.cascades.online.report import OnlineReport
from ....optimizer.routing.evidence import Said
from ....optimizer.routing.router import Router
from ....optimizer.routing.site import SiteRouter
from ....optimizer.search.assignment import Assignment
from ....optimizer.search.chooser import Chooser
from ....udfs.spec import Task
from ...dataflow.caller import Caller
from ...dataflow.memo import Memo
from ...plan.cascade import Cascade
from ...plan.nodes import SemanticCall
from ...types import SqlType, arrow_type
from ..cascading.proxy import Proxy
from ..online_students import Students
from ..row_batches import Input
from ..row_fates import Batching
from ..rows_to_come import Questions
from .billed import Bill
from .judged import Judged


class Looks(Protocol):
    """Who wants to see rows that are compared."""

    def look(self, values: Sequence[Any]) -> None:
        """One of them."""
        ...


class Counts(Protocol):
    """Who counts questions."""

    def one(self) -> object:
        """One has come."""
        ...


class Followed(Protocol):
    """Who follows what arms really cost."""

    def ended(self, assignment: Assignment, values: Sequence[Any], bills: Mapping[int, Bill]) -> None:
        """A row is answered; ``bills`` : of arms that answered it."""
        ...

    def served(self, arm: int, *, failed: bool) -> None:
        """How a question to an arm ended."""
        ...

    async def found(self, arm: int, values: Sequence[Any]) -> bool:
        """Whether an arm's answer for a row is in the store."""
        ...


@dataclass(frozen=True, slots=True)
class Armed:
    """The arms of a call, made ready to run.

    Parameters
    ----------
    names : the reference's first. stages : all but the reference's. chooser : who answers which row.
    costs : told of the rows that are compared. questions : how many there will be, and who is told of each.
    paid_for : whether the reference's answer for a row is in the store.
    judged : arms are compared with labels, as the reference is; ``None``: with the reference.
    follows : who is told what each arm's answers cost; ``None``: nobody.
    """

    names: tuple[str, ...]
    stages: tuple[CallStage, ...]
    chooser: Chooser
    costs: Looks
    paid_for: Callable[[Sequence[Any]], Awaitable[bool]]
    questions: Questions
    judged: Judged | None = None
    follows: Followed | None = None


@dataclass(frozen=True, slots=True)
class Routed:
    """The arms of a call of which one answers each row.

    Parameters
    ----------
    stages : all but the reference's. site : the policy, which has their names. router : of all calls of the query.
    costs, questions, paid_for : see ``Armed``. feedback : right answers that the user gave, by input key.
    above : what other calls said of the same inputs before. tell : told what this one says.
    """

    stages: tuple[CallStage, ...]
    site: SiteRouter
    router: Router
    costs: Looks
    questions: Questions
    paid_for: Callable[[Sequence[Any]], Awaitable[bool]]
    feedback: Mapping[str | bytes, Said]
    above: Callable[[str | bytes], Sequence[Said]]
    tell: Callable[[str | bytes, Said], None]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to answer all calls of a group: a stage for each, asked in one prompt (``together``) or alone."""

    name: str
    stages: tuple[CallStage, ...]
    together: bool


@dataclass(frozen=True, slots=True)
class Merging:
    """A group of calls over the same inputs, made ready to run.

    Parameters
    ----------
    ways : to answer it, the calls as written first. chooser : which of them answers which row. costs, questions : see ``Armed``.
    see : told what an arm and the reference said about one row. paid_for : whether asking alone costs no more, since all but
        one of the answers are in the store. decided : by which way a row is answered, by its inputs.
    notes : of the first call, for EXPLAIN ANALYZE.
    """

    ways: tuple[Way, ...]
    chooser: Chooser
    costs: Looks
    questions: Questions
    see: Callable[[int, Sequence[Any], Sequence[Any]], None]
    paid_for: Callable[[Sequence[Any], int], Awaitable[bool]]
    decided: Memo[str | bytes, int]
    notes: MutableMapping[str, str]


@dataclass(frozen=True, slots=True)
class Proxied:
    """Who may answer for a call under its promise.

    Parameters
    ----------
    cascade : the promise. name : of the proxy, for people ("": there is none).
    make : the proxy, given the scores of inputs, by key (of an expression; else there are none); ``None``: there is none.
    prices : of the reference's answer and the proxy's, by some inputs; ``None``: not known. why : there is no proxy ("": there is).
    note : what the user should know of it.
    """

    cascade: Cascade
    name: str
    make: Callable[[Mapping[str | bytes, Any]], Proxy] | None
    prices: Callable[[Sequence[Sequence[Any]]], Prices | None]
    why: str = ""
    note: str = ""


@dataclass(slots=True)
class OnlineCounts:
    """Distinct inputs of a run that students answered (a small model is one of them), and that the reference did; and how often
    students had been found wanting before it."""

    students: int = 0
    reference: int = 0
    alarms: int = 0


@dataclass(frozen=True, slots=True)
class Taught:
    """Students that a call teaches, made ready to run.

    Parameters
    ----------
    students : finds them, in their thread. vectors : of texts, a row of NaN where there is none; ``None``: nobody makes any.
    small : the call as a small model would answer it; ``None``: there is none.
    paid_for : whether the reference's answer for a row is in the store. at_once : questions that the reference answers at once.
    counts : of this run. tell : told what students have done, when the last row is answered.
    met : how many inputs they have seen in earlier runs, as far as they were saved.
    """

    students: Callable[[], Students]
    vectors: Callable[[Sequence[str]], Awaitable[Floats]] | None
    small: CallStage | None
    paid_for: Callable[[Sequence[Any]], Awaitable[bool]]
    at_once: int
    counts: OnlineCounts
    tell: Callable[[OnlineReport], None]
    met: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Part:
    """The part that a call has in a group. ``number`` : which one; the first leads. ``group`` : made when rows come."""

    number: int
    group: Callable[[], Merging]


@dataclass(slots=True)
class Screened:
    """How many rows a screen, or a mixture of models, was asked about, and for how many of them the reference was asked, too.

    Parameters
    ----------
    expected : share of rows that are checked, before any was seen.
    """

    asked: int = 0
    kept: int = 0
    expected: float = 0.5

    @property
    def share(self) -> float:
        """Of rows that are checked."""
        return (self.kept + 2 * self.expected) / (self.asked + 2)


@dataclass(slots=True)
class Written:
    """The expression that a model wrote for an arm, as DuckDB prints it ("": none yet, or none), and why there is none."""

    expression: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class CallStage:
    """A semantic call ready to run.

    Parameters
    ----------
    call : from the plan. task : what to do with a row.
    type : of the output column (under ``on_error := 'details'`` a STRUCT of the value and the error's text).
    caller : how the task reaches the model.
    aggregate : the argument is a list: its NULLs are dropped, and without any other element the answer is NULL.
    batching : how rows share prompts; ``None``: each has its own.
    armed : other stages that may answer in its place; ``None``: there are none.
    routed : other stages of which one may answer a row; ``None``: there are none.
    screened : it is an arm that asks the reference about some rows (``Arm.checked``, ``Arm.beside``), and how many that were so far.
    written : it is an arm whose model writes an expression that answers rows, and what became of that.
    beside : stages of other models that it asks the same (``Arm.beside``).
    merged : its part in a group of calls that one prompt may answer; ``None``: it is in none.
    blocks : who asks about blocks of pairs, made on first use; ``None``: its rows are no pairs.
    labels : who asks a row of a join about all labels, made on first use; ``None``: nobody may.
    keys : how rows of a join are asked for keys, made on first use; ``None``: nobody may.
    held : tells it that rows to come are held back (see ``Meetings``); ``None``: they never are.
    proxied : who may answer under the call's promise; ``None``: nothing is promised.
    taught : students that may answer in its place; ``None``: it teaches none.
    """

    call: SemanticCall
    task: Task
    type: SqlType
    caller: Caller
    aggregate: bool = False
    batching: Batching | None = None
    armed: Armed | None = None
    routed: Routed | None = None
    screened: Screened | None = None
    written: Written | None = None
    beside: tuple[CallStage, ...] = ()
    merged: Part | None = None
    blocks: Callable[[], Caller] | None = None
    labels: Callable[[], Caller] | None = None
    keys: Callable[[], Batching] | None = None
    held: Callable[[Callable[[], Input], Callable[[], None]], Callable[[], Input]] | None = None
    proxied: Proxied | None = None
    taught: Taught | None = None

    @property
    def rows_a_prompt(self) -> int:
        """At most."""
        return self.batching.size.most if self.batching else 1

    @property
    def rows_in_flight(self) -> int:
        """Rows whose answers the model may be making at once."""
        return self.caller.concurrency * self.rows_a_prompt

    def field(self) -> pa.Field:
        """The output column, as Arrow has it."""
        return pa.field(self.call.output.name, arrow_type(self.type))
