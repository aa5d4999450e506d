"""Plans for people (EXPLAIN) and for programs (JSON)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, assert_never

from .cascade import Cascade
from .conjuncts import conjuncts
from .nodes import (
    Call,
    Compute,
    Condition,
    Conjunction,
    Demand,
    Filter,
    Keep,
    Plan,
    Pop,
    Relation,
    SemanticCall,
    Sort,
    Source,
    Unnest,
)
from .sampling import Sampling
from .walk import children, columns, walk

Path = tuple[int, ...]
"""Where a node stands: the child's index at each step from the root, which is ``()``."""

Notes = Mapping[Path, Sequence[str]]
"""Lines to print under a node: estimates, actual figures."""

MAX_WIDTH = 100


def nodes_with_paths(plan: Plan, at: Path = ()) -> Iterator[tuple[Path, Plan]]:
    """Every node and where it stands, the root first. A plan read twice has two paths."""
    yield at, plan
    for index, child in enumerate(children(plan)):
        yield from nodes_with_paths(child, (*at, index))


def render(plan: Plan, notes: Notes | None = None) -> str:
    """The tree as text, one node a line, the root first.

    Parameters
    ----------
    notes : further lines under nodes, by path.

    >>> print(render(Demand(Source("", "tickets", ()), 10), {(): ["rows≈10"]}))
    Demand  10 rows, in waves
    │    rows≈10
    └─ Source  tickets  []
    """
    return "\n".join(line.rstrip() for line in _lines(plan, (), notes or {}, _labels_of(plan)))


def to_json(plan: Plan, notes: Notes | None = None) -> str:
    """The tree as JSON text: ``node``, ``text``, ``columns`` (name, type, label), its own fields, ``notes``, ``inputs``.

    >>> json.loads(to_json(Demand(Source("", "t", ()), 3)))["rows"]
    3
    """
    return json.dumps(_object(plan, (), notes or {}, _labels_of(plan)), ensure_ascii=False, indent=2, default=str)


def shorten(text: str, width: int = MAX_WIDTH) -> str:
    """One line of at most ``width`` characters.

    >>> shorten("SELECT  a\\n FROM t", 10)
    'SELECT a…'
    """
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"


Labels = Mapping[str, str]


def _labels_of(plan: Plan) -> Labels:
    """The user's words for every column of the plan; a label may itself hold names of columns further down."""
    return {c.name: c.label for node in walk(plan) for c in columns(node)}


def _in_users_words(sql: str, labels: Labels, depth: int = 5) -> str:
    """``sql`` with plan columns replaced by what the user calls them, outside quotes."""
    words = re.sub(r'"(?:[^"]|"")*"|\'(?:[^\']|\'\')*\'|\b__\w+', lambda m: labels.get(m[0], m[0]), sql)
    if words != sql and depth:
        return _in_users_words(words, labels, depth - 1)
    return re.sub(r'(\b\w+) AS "?\1"?(?=\s|,|$)', r"\1", words)


def _lines(plan: Plan, at: Path, notes: Notes, labels: Labels) -> Iterator[str]:
    kind, text = _describe(plan, labels)
    yield f"{kind}  {text}"
    below = children(plan)
    bar = "│" if below else " "
    yield from (f"{bar}    {note}" for note in notes.get(at, ()))
    for index, child in enumerate(below):
        last = index == len(below) - 1
        head, rest = ("└─ ", "   ") if last else ("├─ ", "│  ")
        name = _input_name(plan, index)
        for number, line in enumerate(_lines(child, (*at, index), notes, labels)):
            yield f"{rest}{line}" if number else f"{head}{name}{line}"


def _input_name(plan: Plan, index: int) -> str:
    """Inputs are named where there are several, or where the user's own FROM names them."""
    if isinstance(plan, Source) or (isinstance(plan, Relation) and len(plan.inputs) > 1):
        return f"{plan.inputs[index].name} = "
    return ""


def _describe(plan: Plan, labels: Labels) -> tuple[str, str]:
    """The node's kind and what it does."""
    return type(plan).__name__, _text(plan, lambda sql: shorten(_in_users_words(sql, labels)))


def _text(plan: Plan, words: Callable[[str], str]) -> str:
    match plan:
        case Source():
            shown = words(", ".join(c.label for c in columns(plan)))
            return f"{words(plan.from_sql) or '(one row)'}  [{shown}]{_first(plan.limit)}"
        case Compute() | Filter() | Keep():
            return words(_row_wise(plan))
        case Call():
            return _call(plan.call, words)
        case Unnest():
            kept = "  keeps rows without any" if plan.keep_empty else ""
            return words(plan.label) + kept + ("  as they are written" if plan.early else "")
        case Sort():
            return words(plan.keys.label) + _first(plan.limit)
        case Demand() | Conjunction() | Condition():
            return _how(plan, words)
        case Relation():
            return words(plan.label or plan.sql) + _ways(plan)
        case _:
            assert_never(plan)


def _row_wise(plan: Compute | Filter | Keep) -> str:
    match plan:
        case Compute():
            return ", ".join(c.expr.label for c in plan.columns)
        case Filter():
            return plan.predicate.label
        case Keep():
            return ", ".join(plan.names)
        case _:
            assert_never(plan)


def _how(plan: Demand | Conjunction | Condition, words: Callable[[str], str]) -> str:
    if isinstance(plan, Demand):
        return f"{plan.rows:,} rows, in waves"
    what = words(plan.condition.label) + " " if isinstance(plan, Condition) else f"{len(conjuncts(plan).calls)} calls,"
    return f"{what} in the order that is cheapest as it goes"


def _ways(plan: Relation) -> str:
    return _sampling(plan.sampling) + _pop(plan.pop) + ("  prefetch" if plan.prefetch else "")


def _sampling(sampling: Sampling | None) -> str:
    if sampling is None:
        return ""
    return f"  estimated from a sample, ± {100 * sampling.accuracy:.3g}% each (95%)"


def _pop(pop: Pop | None) -> str:
    if pop is None:
        return ""
    parts = "row of the source" if pop.length == 1 else f"part {pop.length - 1} levels down"
    return f"  each when its {parts} is done" + (" (if the keys are one, found out while reading)" if pop.check else "")


def _first(limit: int | None) -> str:
    return "" if limit is None else f"  first {limit:,} rows"


def _call(call: SemanticCall, words: Callable[[str], str]) -> str:
    parts = [call.site]
    if "model" in call.options:
        parts.append(f"model={call.options['model']}")
    if call.distinct:
        parts.append("distinct")
    if call.truth is not None:
        parts.append(f"against {call.truth.words}")
    if shared := " and ".join(_by_prefix(call)):
        parts.append(f"{shared} by shared prefix")
    if call.top_k is not None:
        parts.append(f"first {call.top_k.rows:,} by {call.top_k.algorithm}")
    parts += _others(call)
    if call.guard is not None:
        parts.append(f"when {words(call.guard)}")
    return "  ".join(parts)


def _others(call: SemanticCall) -> Iterator[str]:
    """Who may answer in its place, or with it."""
    if call.arms is not None and call.arms.routed:
        yield f"or {' or '.join(arm.name for arm in call.arms.arms)}, by the row"
    elif call.arms is not None:
        others = len(call.arms.arms)
        yield "or another arm" if others == 1 else f"or {others} other arms"
    if call.online is not None:
        yield f"or students that it teaches, agreement ≥ {call.online.target:.1%}"
    if call.cascade is not None:
        yield f"or proxy {call.cascade.name or call.cascade.proxy}, {call.cascade.guarantee.words}"
    if call.merge is not None:
        others = len(call.merge.sites) - 1
        yield f"in one prompt with {'another call' if others == 1 else f'{others} other calls'}, if proved"
    if call.pairs is not None:
        yield f"likely pairs, then blocks or a sample, recall ≥ {call.pairs.recall:.0%}"
        yield from ["or classification, if proved"] * call.pairs.labels
        yield from ["with keys, if they pay"] * call.pairs.keys


def _by_prefix(call: SemanticCall) -> list[str]:
    """What a call puts in an order in which prompts share beginnings."""
    return ["rows"] * call.rows_by_prefix + ["inputs"] * call.inputs_by_prefix


def _object(plan: Plan, at: Path, notes: Notes, labels: Labels) -> dict[str, Any]:
    kind, text = _describe(plan, labels)
    shown: dict[str, Any] = {"node": kind, "text": text, **_fields(plan)}
    shown["columns"] = [{"name": c.name, "type": c.type, "label": c.label} for c in columns(plan)]
    if at in notes:
        shown["notes"] = list(notes[at])
    shown["inputs"] = [_object(c, (*at, i), notes, labels) for i, c in enumerate(children(plan))]
    return shown


def _fields(plan: Plan) -> dict[str, Any]:
    match plan:
        case Source():
            return {"from": plan.from_sql, "limit": plan.limit}
        case Compute():
            return {"expressions": {c.column.name: c.expr.sql for c in plan.columns}}
        case Filter():
            return {"predicate": plan.predicate.sql}
        case Call():
            return _call_fields(plan.call)
        case Unnest():
            return {"column": plan.column, "keep_empty": plan.keep_empty, "early": plan.early}
        case Sort() | Demand():
            return {"keys": plan.keys.sql, "limit": plan.limit} if isinstance(plan, Sort) else {"rows": plan.rows}
        case Relation():
            return _relation_fields(plan)
        case Condition():
            return {"condition": plan.condition.sql, "keep": plan.keep}
        case Keep() | Conjunction():
            return {}
        case _:
            assert_never(plan)


def _relation_fields(plan: Relation) -> dict[str, Any]:
    return {
        "sql": plan.sql,
        "limit": plan.limit,
        "session": plan.session,
        "prefetch": plan.prefetch,
        "accuracy": None if plan.sampling is None else plan.sampling.accuracy,
    }


def _call_fields(call: SemanticCall) -> dict[str, Any]:
    return {
        "site": call.site,
        "function": call.function,
        "arguments": list(call.arguments),
        "argument_texts": list(call.argument_texts),
        "options": dict(call.options),
        "guard": call.guard,
        "distinct": call.distinct,
        "by_prefix": _by_prefix(call),
        "top_k": None if call.top_k is None else {"rows": call.top_k.rows, "algorithm": call.top_k.algorithm},
        "arms": [arm.name for arm in call.arms.arms] if call.arms is not None else [],
        "online": None if call.online is None else {"agreement": call.online.target, "small": call.online.small},
        "cascade": None if call.cascade is None else _cascade_fields(call.cascade),
        "merged": list(call.merge.sites) if call.merge is not None else [],
        "recall": call.pairs.recall if call.pairs is not None else None,
        "labels": call.pairs is not None and call.pairs.labels,
        "truth": None if call.truth is None else call.truth.table,
        "keys": call.pairs is not None and call.pairs.keys,
    }


def _cascade_fields(cascade: Cascade) -> dict[str, Any]:
    promised = cascade.guarantee
    targets = {"accuracy": promised.accuracy, "precision": promised.precision, "recall": promised.recall}
    known = {metric: target for metric, target in targets.items() if target is not None}
    return {**known, "delta": promised.delta, "proxy": cascade.proxy, "name": cascade.name}
