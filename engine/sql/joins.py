"""``JOIN … ON <semantic condition>``: for an inner join the condition is as good in WHERE, where rules can order it."""

from __future__ import annotations

from .bind_block import BlockBinder
from .guards import split_logical
from .join_words import JOIN_WORDS, join_end
from .row_calls import conditions_of
from .scope import NotLiftableError
from .tokens import Range, Text


def lift_conditions(binder: BlockBinder) -> list[Range]:
    """Take semantic conjuncts out of the ON clauses and return them.

    Raises
    ------
    NotLiftableError : the join is not inner, a RIGHT or FULL join would see the difference, or a call stands elsewhere in FROM.
    """
    text, where = binder.text, binder.from_range
    remaining = set(binder.calls_in(where)) if where else set()
    own = conditions_of(binder)
    if not remaining:
        return own
    tops = list(text.top(where))
    if any(text.word(i) in ("RIGHT", "FULL") and text.word(i + 1) in ("JOIN", "OUTER") for i in tops):
        raise NotLiftableError("a semantic join condition beside a RIGHT or FULL join")
    taken: list[Range] = []
    for on in (i for i in tops if text.word(i) == "ON"):
        condition = Range(on + 1, join_end(text, tops, on, where.hi))
        conjuncts = split_logical(text, condition, "AND")
        semantic = [c for c in conjuncts if binder.calls_in(c)]
        if not semantic:
            continue
        _check_inner(text, on, where)
        binder.splice.replace(condition, _rest(binder, [c for c in conjuncts if c not in semantic]))
        taken += semantic
        remaining -= {s for c in semantic for s in binder.calls_in(c)}
    if remaining:
        raise NotLiftableError("a call stands in FROM outside an ON condition")
    return taken + own


def _rest(binder: BlockBinder, conjuncts: list[Range]) -> str:
    return " AND ".join(f"({binder.splice.render(c)[0]})" for c in conjuncts) or "TRUE"


def _check_inner(text: Text, on: int, where: Range) -> None:
    join = max((i for i in text.top(where) if i < on and text.word(i) == "JOIN"), default=None)
    if join is None:
        raise NotLiftableError("ON without JOIN")
    kind = text.word(join - 1)
    if kind in JOIN_WORDS and kind != "INNER":
        raise NotLiftableError(f"a semantic condition in a {kind} JOIN")
