"""What to ask next about a row under a condition of AND, OR and NOT, at the least expected cost.

Small conditions are solved exactly: dynamic programming over what may be left of the condition, each predicate's three
answers weighed by their shares. The best way may leave a bracket half-asked and return to it, so no fixed order can say
it. Large ones are asked bracket by bracket, each in the order of its parts' ranks, which is the best such way where only
TRUE rows are kept. Predicates count as independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import assert_never

from .chains import chain_cost, chain_order
from .predicate import Answer, Keep, Logic, Predicate
from .trees import Junction, Known, Leaf, Not, Tree, answered, leaves, turned

EXACT_LEAVES = 6
"""Beyond it too many conditions may be left: each leaf more makes two to three times as many."""


@dataclass(frozen=True, slots=True)
class Step:
    """The predicate to ask (``None``: the condition is decided) and the cost to be expected from there on."""

    ask: int | None
    cost: float


@dataclass(frozen=True, slots=True)
class Strategy:
    """Asks for one condition.

    Parameters
    ----------
    tree : the condition; each predicate stands in it once. predicates : what its leaves are.
    keep : ``'true'`` where only TRUE rows are kept (a part that is NULL is then as good as FALSE), ``'value'`` where the
        value is shown.
    exact : up to so many leaves the strategy is solved exactly.

    >>> cheap, dear, other = Predicate(10, true=0.5), Predicate(100, true=0.5), Predicate(25, true=0.9)
    >>> either = Junction("and", (Junction("or", (Leaf(0), Leaf(1))), Leaf(2)))
    >>> asked = Strategy(either, [cheap, dear, other])
    >>> asked.next({}), asked.next({0: True}), asked.next({0: False}), asked.next({0: True, 2: None})
    (0, 2, 1, None)
    """

    tree: Tree
    predicates: Sequence[Predicate]
    keep: Keep = "true"
    exact: int = EXACT_LEAVES
    _steps: dict[Tree, Step] = field(default_factory=dict, repr=False, compare=False)

    @property
    def cost(self) -> float:
        """Expected, a row."""
        if not self._is_exact:
            return self._part(self.tree, self.keep)[0].cost
        return self._step(answered(self.tree, {}, self.keep)).cost

    def next(self, answers: Mapping[int, Answer]) -> int | None:
        """The predicate to ask, given those answered; ``None``: nothing can matter any more."""
        left = answered(self.tree, answers, self.keep)
        if self._is_exact:
            return self._step(left).ask
        wanted = set(leaves(left))
        return next((place for place in self.order() if place in wanted), None)

    def order(self) -> tuple[int, ...]:
        """Bracket by bracket, in the order of ranks."""
        return self._part(self.tree, self.keep)[1]

    def result(self, answers: Mapping[int, Answer]) -> Answer:
        """What the condition says: its value, or, as ``keep`` says, whether it is TRUE, or is not FALSE.

        Raises
        ------
        ValueError : ``next`` has something to ask yet.
        """
        left = answered(self.tree, answers, self.keep)
        if not isinstance(left, Known):
            raise ValueError(f"Nothing can be said yet: {left} is left to ask about.")
        return left.value

    @property
    def _is_exact(self) -> bool:
        return sum(1 for _ in leaves(self.tree)) <= self.exact

    def _step(self, tree: Tree) -> Step:
        found = self._steps.get(tree)
        if found is None:
            ways = [Step(leaf, self._cost(tree, leaf)) for leaf in leaves(tree)]
            found = min(ways, key=lambda step: step.cost, default=Step(None, 0.0))
            self._steps[tree] = found
        return found

    def _cost(self, tree: Tree, leaf: int) -> float:
        predicate = self.predicates[leaf]
        shares = [(answer, predicate.share(answer)) for answer in (True, False, None)]
        rest = (
            share * self._step(answered(tree, {leaf: answer}, self.keep)).cost for answer, share in shares if share > 0
        )
        return predicate.cost + sum(rest)

    def _part(self, tree: Tree, keep: Keep) -> tuple[Predicate, tuple[int, ...]]:
        """A part as if it were one predicate, and the order of its leaves."""
        match tree:
            case Leaf():
                return self.predicates[tree.predicate], (tree.predicate,)
            case Known():
                return Predicate(0.0, float(tree.value is True), float(tree.value is None)), ()
            case Not():
                part, order = self._part(tree.part, turned(keep))
                return Predicate(part.cost, part.false, part.null), order
            case Junction():
                return self._joined(tree, keep)
            case _:
                assert_never(tree)

    def _joined(self, tree: Junction, keep: Keep) -> tuple[Predicate, tuple[int, ...]]:
        parts = [self._part(part, keep) for part in tree.parts]
        logic, predicates = Logic(tree.connective, keep), [part for part, _ in parts]
        order = chain_order(predicates, logic)
        true = math.prod(p.true for p in predicates)
        false = 1 - math.prod(1 - p.false for p in predicates)
        if tree.connective == "or":
            true, false = 1 - math.prod(1 - p.true for p in predicates), math.prod(p.false for p in predicates)
        whole = Predicate(chain_cost(predicates, logic, order), true, max(0.0, 1 - true - false))
        return whole, tuple(chain.from_iterable(parts[place][1] for place in order))
