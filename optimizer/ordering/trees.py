"""Conditions of AND, OR and NOT over predicates, in three-valued logic, and what is left of one when some are answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Literal, assert_never

from .predicate import Answer, Keep


@dataclass(frozen=True, slots=True)
class Leaf:
    """A predicate, by its place in the list of them."""

    predicate: int


@dataclass(frozen=True, slots=True)
class Known:
    """A part whose value is known."""

    value: Answer


@dataclass(frozen=True, slots=True)
class Not:
    """NULL stays NULL."""

    part: Tree


@dataclass(frozen=True, slots=True)
class Junction:
    """Parts that AND or OR joins."""

    connective: Literal["and", "or"]
    parts: tuple[Tree, ...]


Tree = Leaf | Known | Not | Junction


def leaves(tree: Tree) -> Iterator[int]:
    """The predicates in it, as written."""
    match tree:
        case Leaf():
            yield tree.predicate
        case Known():
            return
        case Not():
            yield from leaves(tree.part)
        case Junction():
            for part in tree.parts:
                yield from leaves(part)
        case _:
            assert_never(tree)


def renumbered(tree: Tree, numbers: Mapping[int, int] | Sequence[int]) -> Tree:
    """The same condition over predicates that are called otherwise.

    >>> renumbered(Not(Leaf(4)), {4: 0})
    Not(part=Leaf(predicate=0))
    """
    match tree:
        case Leaf():
            return Leaf(numbers[tree.predicate])
        case Known():
            return tree
        case Not():
            return Not(renumbered(tree.part, numbers))
        case Junction():
            return Junction(tree.connective, tuple(renumbered(part, numbers) for part in tree.parts))
        case _:
            assert_never(tree)


def negated_leaves(tree: Tree, *, under: bool = False) -> frozenset[int]:
    """The predicates that stand under an odd number of NOTs. ``under`` : the tree itself stands under one.

    >>> negated_leaves(Not(Junction("or", (Leaf(0), Not(Leaf(1))))))
    frozenset({0})
    """
    match tree:
        case Leaf():
            return frozenset({tree.predicate} if under else ())
        case Known():
            return frozenset()
        case Not():
            return negated_leaves(tree.part, under=not under)
        case Junction():
            return frozenset().union(*(negated_leaves(part, under=under) for part in tree.parts))
        case _:
            assert_never(tree)


def answered(tree: Tree, answers: Mapping[int, Answer], keep: Keep = "value") -> Tree:
    """What is left of it: parts that cannot matter any more are gone.

    Parameters
    ----------
    keep : what is asked of it. Where only TRUE counts, a NULL is as good as FALSE; where only FALSE, as TRUE.

    >>> condition = Junction("or", (Junction("and", (Leaf(0), Leaf(1))), Leaf(2)))
    >>> answered(condition, {0: False})
    Leaf(predicate=2)
    >>> answered(condition, {0: None}, keep="true")
    Leaf(predicate=2)
    >>> answered(condition, {0: True, 1: True})
    Known(value=True)
    """
    match tree:
        case Leaf():
            return _known(answers[tree.predicate], keep) if tree.predicate in answers else tree
        case Known():
            return _known(tree.value, keep)
        case Not():
            part = answered(tree.part, answers, turned(keep))
            return Known(_negated(part.value)) if isinstance(part, Known) else Not(part)
        case Junction():
            return _joined(tree.connective, _beside_null(tree, [answered(part, answers, keep) for part in tree.parts]))
        case _:
            assert_never(tree)


def turned(keep: Keep) -> Keep:
    """What is asked of the part under a NOT."""
    return "value" if keep == "value" else "false" if keep == "true" else "true"


@lru_cache(maxsize=65_536)
def possible(tree: Tree) -> frozenset[Answer]:
    """Values it may still have (some that it cannot have, where a predicate stands in it twice)."""
    match tree:
        case Leaf():
            return frozenset((True, False, None))
        case Known():
            return frozenset((tree.value,))
        case Not():
            return frozenset(map(_negated, possible(tree.part)))
        case Junction():
            ways = product(*(possible(part) for part in tree.parts))
            return frozenset(conjunction(way) if tree.connective == "and" else disjunction(way) for way in ways)
        case _:
            assert_never(tree)


def conjunction(values: tuple[Answer, ...]) -> Answer:
    """FALSE if any is, else NULL if any is.

    >>> conjunction((True, None)), conjunction((False, None))
    (None, False)
    """
    return False if False in values else None if None in values else True


def disjunction(values: tuple[Answer, ...]) -> Answer:
    """TRUE if any is, else NULL if any is."""
    return True if True in values else None if None in values else False


def _negated(value: Answer) -> Answer:
    return None if value is None else not value


def _known(value: Answer, keep: Keep) -> Known:
    return Known(keep == "false") if value is None and keep != "value" else Known(value)


def _beside_null(tree: Junction, parts: list[Tree]) -> list[Tree]:
    """Beside a NULL all that counts is whether another part decides."""
    if Known(None) not in parts:
        return parts
    keep: Keep = "false" if tree.connective == "and" else "true"
    return [part if part == Known(None) else answered(part, {}, keep) for part in parts]


def _joined(connective: Literal["and", "or"], parts: list[Tree]) -> Tree:
    """What decides nothing is left out."""
    neutral = Known(connective == "and")
    left = tuple(part for part in parts if part != neutral)
    joined = left[0] if len(left) == 1 else Junction(connective, left) if left else neutral
    values = possible(joined)
    return Known(next(iter(values))) if len(values) == 1 else joined
