"""EMBEDDED: every call stays in its place in the text, as a look-up function of its own."""

from __future__ import annotations

from collections.abc import Collection

from ..plan.nodes import Column, Relation, SemanticCall
from ..types import needs_cast
from .bind_call import BoundCall, BoundCalls
from .first_run import first_run
from .laterals import frame
from .locate import LocatedCall
from .names import Names
from .splice import Splice, words
from .tokens import Text
from .tried import lone_try


def embed(
    text: Text,
    calls: BoundCalls,
    columns: tuple[Column, ...],
    aggregates: Collection[str] = frozenset(),
    copies: Collection[int] = frozenset(),
) -> Relation:
    """The statement with its look-ups.

    Parameters
    ----------
    columns : its result. aggregates : DuckDB's aggregate functions, upper case.
    copies : calls that stand where the user wrote the name of a select item with another one.
    """
    names, splice = Names(), Splice(text)
    made: dict[Column, BoundCall] = {}
    outputs: dict[str, Column] = {}
    own = [start for start in sorted(calls) if start not in copies]
    numbers: dict[Column, int] = {}
    for start in sorted(calls, reverse=True):
        bound = calls[start]
        # What is written twice is one look-up: only so does DuckDB see that a call of the SELECT list is the one of GROUP BY.
        written = f"{' '.join(splice.render(bound.located.whole)[0].split())} {sorted(bound.options.items())}"
        known = outputs.get(written)
        output = known or Column(names.fresh("s"), bound.type.text, words(text, bound.located.whole))
        outputs[written] = output
        look_up = f"__anser_{output.name}({', '.join(_arguments(splice, bound)) or '0'})"
        if word := lone_try(text, bound.located.whole):
            splice.replace(word, "")
        typed = f"CAST({look_up} AS {output.type})" if needs_cast(bound.type) else look_up
        splice.replace(bound.located.whole, _placed(text, bound.located, typed))
        made.setdefault(output, bound)
        if start not in copies:
            numbers.setdefault(output, 1 + own.index(start))
    embedded = tuple(_call(bound, output, numbers[output]) for output, bound in reversed(made.items()))
    sql = splice.render(text.all())[0]
    found = first_run(text, calls, splice, aggregates, copies)
    return Relation(sql, (), columns, embedded=embedded, first_run=found, session=True)


def _call(bound: BoundCall, output: Column, number: int) -> SemanticCall:
    return SemanticCall(
        site=f"{number}:{bound.located.function.sql_name}",
        function=bound.located.function.sql_name,
        constants=bound.arguments.constants,
        arguments=tuple(f"a{i}" for i in bound.dynamic),
        argument_types=tuple(t.text for t in bound.arguments.types),
        argument_texts=bound.arguments.texts,
        options=dict(bound.options),
        guard=None,
        output=output,
    )


def _placed(text: Text, located: LocatedCall, look_up: str) -> str:
    """A call in FROM gives rows, any other a value."""
    before, behind = frame(text, located.whole) if located.in_from else ("", "")
    return f"{before}{look_up}{behind}"


def collected(splice: Splice, located: LocatedCall) -> str:
    """``LLM_SUMMARIZE(DISTINCT x ORDER BY y) FILTER (WHERE z)`` collects ``list(…)``.

    DuckDB gives distinct values in any order; without an order of its own the same list would be another question on a rerun.
    """
    argument = splice.render(located.arguments[0])[0]
    inside = f"{'DISTINCT ' if located.distinct else ''}{argument}"
    if located.order_by:
        inside += f" ORDER BY {splice.render(located.order_by)[0]}"
    elif located.distinct:
        inside += f" ORDER BY {argument}"
    condition = f" AND ({splice.render(located.filter)[0]})" if located.filter else ""
    over = f" {splice.render(located.over)[0]}" if located.over else ""
    return f"list({inside}) FILTER (WHERE ({argument}) IS NOT NULL{condition}){over}"


def _arguments(splice: Splice, bound: BoundCall) -> list[str]:
    located = bound.located
    texts = [splice.render(a)[0] for a in located.arguments] + list(bound.arguments.texts[len(located.arguments) :])
    dynamic = [texts[i] for i in bound.dynamic]
    if located.function.kind == "aggregate":
        dynamic[0] = collected(splice, located)
    return dynamic
