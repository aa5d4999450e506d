"""The policy of one call: it says who is asked about a row and whether an answer is good enough, and learns from what came of it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..search.bounds import Bet
from .audits import Audits
from .belief import Belief, Floats
from .context import WIDTH, Context
from .curve import Curve
from .evidence import OF_ANSWER, OF_UPSTREAM, Said, reading, upstream
from .frozen import Frozen

LEAST_BLOCK = 16
LAG = 3
"""A block's policy knows all blocks but the latest, so many: these are under way, and how far must not change what a row is asked."""
LEAST_AUDITS = 50
"""Before so many the reference answers."""
LEAST_AT_ONCE, MOST_AT_ONCE, FEW_KEPT = 200, 1_200, 10
"""So many rows are audited before an arm that does not do is looked at now and then only; more of a filter that keeps few."""
NEW = 25
"""Prices are found anew once there is one more audit for so many."""
AUDIT_SHARE = 0.02
EAGER = 1.5
"""Of the first n rows, EAGER / sqrt(n) are audited where that is more: early ones say most for what they cost."""
WIDTH_DRAWN = 0.3
"""Of what beliefs leave open, what a drawn policy makes use of: audits tell of every arm, so little is to be found out by trying."""
ALARM = 0.005
SUSPICION, SUSPICIOUS_SHARE = 2.0, 0.15
"""Once the wager on an alarm has grown so far, so many rows are audited: either it is lost soon, or won."""
MISJUDGED = 0.56
SPREADS = (2.0, *[0.15] * WIDTH, *[0.5] * OF_UPSTREAM, *[1.5] * OF_ANSWER)


@dataclass(frozen=True, slots=True)
class Visit:
    """A row on its way.

    Parameters
    ----------
    number : from 0, in the order of rows. start : who is asked first. audit : everybody is asked. frozen : the policy in force.
    """

    number: int
    start: int
    audit: bool
    context: Floats
    frozen: Frozen


@dataclass(slots=True)
class Outcome:
    """What came of a row.

    Parameters
    ----------
    said : what arms but the reference said. right : the right answer, where the reference or the user gave it.
    taken : whose answer the row has. asked : who was asked, and paid. full : every arm was asked, because the user gave the answer.
    """

    said: dict[int, Said] = field(default_factory=dict)
    right: Said | None = None
    taken: int = 0
    asked: list[int] = field(default_factory=lambda: [0])
    full: bool = False


class SiteRouter:
    """The state of one call.

    Parameters
    ----------
    name : of the call. arms : names, the reference's first. costs : what a question costs each, as is known by now, in one unit for all.
    same : how far two answers agree, 0 to 1. solve : called when audits have come: prices are to be found anew.
    block : rows for which a policy holds. seed : of what is drawn.
    """

    def __init__(
        self,
        name: str,
        arms: Sequence[str],
        costs: Callable[[], Sequence[float]],
        *,
        same: Callable[[Any, Any], float],
        solve: Callable[[], None],
        block: int = LEAST_BLOCK,
        seed: int = 42,
    ) -> None:
        self.name, self.arms, self._costs, self._same, self._solve = name, tuple(arms), costs, same, solve
        self.block, self._seed = block, zlib.crc32(f"{seed} {name}".encode())
        self.context = Context()
        self.audits = Audits(1 + WIDTH + OF_UPSTREAM, len(arms) - 1)
        self._beliefs = [Belief(np.array(SPREADS)) for _ in arms[1:]]
        self.curve, self.alarms, self.price = Curve(), list[str](), 0.0
        self.seen = self._ended = self._drawn = self._since = self._solved = 0
        self._outcomes: dict[int, tuple[Visit, Outcome]] = {}
        self._watches = self._fresh_watches()
        self.costs = self._known_costs()
        self._costs_at: dict[int, Floats] = {}
        self._policies = dict.fromkeys(range(LAG), self._freeze())

    @property
    def ready(self) -> bool:
        """Whether the next row may come: its block has its policy."""
        return self.seen // self.block in self._policies

    def visit(self, key: str | bytes, values: Sequence[Any], above: Sequence[Said] = ()) -> Visit:
        """The next row. ``key`` : stands for its inputs, and decides whether it is audited. ``above`` : what calls made of them before."""
        context = np.concatenate([[1.0], self.context.of(values), upstream(above)])
        number, block = self.seen, self.seen // self.block
        self.seen += 1
        if not number % self.block:
            self._costs_at[block] = self._known_costs()
            self._policies.pop(block - 1, None)
        frozen = self._policies[block]
        start = frozen.start(context)
        return Visit(number, start, self._audited(key, frozen), context, frozen)

    def accepts(self, visit: Visit, arm: int, said: Said) -> bool:
        """Whether an arm's answer is the row's."""
        return visit.frozen.accepts(visit.frozen.doubt(arm, reading(visit.context, said)))

    def ended(self, visit: Visit, outcome: Outcome) -> None:
        """What came of a row. Policies change at the ends of blocks, in the order of rows: whoever answers faster changes nothing."""
        self._outcomes[visit.number] = (visit, outcome)
        while all(number in self._outcomes for number in range(self._ended, self._ended + self.block)):
            for number in range(self._ended, self._ended + self.block):
                self._learn(*self._outcomes.pop(number))
            block = self._ended // self.block
            self._ended += self.block
            self.costs = self._costs_at.pop(block)
            if self.audits.seen - self._solved >= max(1, self.audits.rows // NEW):
                self._solved = self.audits.seen
                for arm, belief in enumerate(self._beliefs):
                    self.audits.judge(arm, belief.mean)
                self._solve()
            self._policies[block + LAG] = self._freeze()

    def close(self) -> None:
        """No more rows come: what is known of the last block's is put down, too."""
        for number in sorted(self._outcomes):
            self._learn(*self._outcomes.pop(number))

    def _known_costs(self) -> Floats:
        """Of a question, by arm: as is known when a block begins."""
        return np.maximum(np.asarray(self._costs(), dtype=np.float64), 0.0)

    @property
    def barred(self) -> frozenset[int]:
        """Arms that are wrong too often to be worth their price, whatever they say."""
        costs = self.costs
        return frozenset(arm for arm in range(1, len(costs)) if costs[arm] >= costs[0])

    @property
    def trusted(self) -> bool:
        """Whether there are audits enough to answer without the reference: of a filter, also of rows that it keeps, as long as these may
        still come in numbers."""
        few = self.audits.kept is not None and min(self.audits.kept, self.audits.rows - self.audits.kept) < FEW_KEPT
        return self.audits.rows >= (MOST_AT_ONCE if few else LEAST_AUDITS)

    def watch(self, wrong: float, room: float) -> None:
        """How often the answers that are served are wrong, at most, as far as is known; audits that speak against it raise the alarm. ``room`` : what may be lost."""
        least = min(0.5, max(0.01, room / 2, 1.25 * wrong))
        # Not while it wins: what speaks for a change would raise what is taken for usual.
        if self._watches[0].log_wealth <= 0.0 and abs(self._watches[0].least - least) > 0.25 * least:
            self._watches = (Bet(least, ALARM), self._watches[1])

    def _freeze(self) -> Frozen:
        self._drawn += 1
        chance = np.random.default_rng((self._seed, self._drawn))
        weights = [belief.draw(chance, WIDTH_DRAWN) for belief in self._beliefs]
        price, costs = (self.price if self.trusted else 0.0), self.costs
        values = self.audits.values(costs, np.array([price]))[:, 0, :] if price else np.zeros((0, 0))
        return Frozen(price, costs, weights, values, self.barred, self._share(price))

    def _share(self, price: float) -> float:
        """Of rows that everybody is asked about. While the reference answers all, an audit costs no more than the others do."""
        if not price:
            return 1.0 if not self.trusted or self.audits.rows < LEAST_AT_ONCE else SUSPICIOUS_SHARE
        share = max(AUDIT_SHARE, EAGER / math.sqrt(max(1, self._ended - self._since)))
        suspicious = any(watch.log_wealth > math.log(SUSPICION) for watch in self._watches)
        return max(share, SUSPICIOUS_SHARE) if suspicious else share

    def _audited(self, key: str | bytes, frozen: Frozen) -> bool:
        text = key if isinstance(key, bytes) else key.encode(errors="surrogatepass")
        return zlib.crc32(text, self._seed) < frozen.audits * 2**32

    def _learn(self, visit: Visit, outcome: Outcome) -> None:
        costs = visit.frozen.costs
        right = outcome.right
        doubts, wrong = np.ones(len(costs) - 1), np.ones(len(costs) - 1)
        heard: list[Floats | None] = [None] * len(self._beliefs)
        for arm, said in outcome.said.items() if right is not None else ():
            heard[arm - 1] = features = reading(visit.context, said)
            doubts[arm - 1] = visit.frozen.doubt(arm, features)
            wrong[arm - 1] = 1.0 - self._same(said.answer, right.answer) if right is not None else 1.0
            self._beliefs[arm - 1].see(features, wrong[arm - 1] < 0.5)
            if visit.frozen.price:
                _see(self._watches[1], (1.0 + wrong[arm - 1] - doubts[arm - 1]) / 2.0)
        served = self._served(visit, doubts)
        lost = float(wrong[served - 1]) if served else 0.0
        audited = right is not None and (visit.audit or outcome.full)
        if audited:
            self.audits.add(visit.context, doubts, wrong, None if right is None else right.answer, heard)
            if visit.frozen.price:
                _see(self._watches[0], lost)
        self.curve.add(outcome.taken, outcome.asked, costs, lost if audited else None)
        self._listen(visit.number)

    def _served(self, visit: Visit, doubts: Floats) -> int:
        """Whose answer the row would have, were it not audited."""
        first = visit.start
        return first if first and visit.frozen.accepts(float(doubts[first - 1])) else 0

    def _listen(self, number: int) -> None:
        served, judged = (watch.won() for watch in self._watches)
        if not (served or judged):
            return
        why = "answers that are served are wrong too often" if served else "answers are worse than they look"
        self.alarms.append(
            f"after {number + 1:,} rows {why}: the reference answers until {LEAST_AUDITS} rows are compared anew"
        )
        self.audits.clear()
        self._since, self._solved = number, 0
        for belief in self._beliefs:
            belief.doubt()
        self._watches = self._fresh_watches()

    def _fresh_watches(self) -> tuple[Bet, Bet]:
        return Bet(0.05, ALARM), Bet(MISJUDGED, ALARM)


def _see(watch: Bet, x: float) -> None:
    """A gambler who has lost starts anew with what he began with: so a long good time does not hide a bad one (one false alarm in
    ``1 / ALARM`` audits at most, in the mean)."""
    watch.see(x)
    watch.log_wealth = max(watch.log_wealth, 0.0)
