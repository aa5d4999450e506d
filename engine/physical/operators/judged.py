"""What labels say of the call's own model, while it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ....optimizer.search.agreement import agreement
from ....optimizer.search.bounds import Bet
from ....optimizer.search.chooser import DELTA
from ....optimizer.search.tally import Tally
from ...plan.truth import Truth
from .questions import key_of

UNLABELLED: Any = object()
"""The label of an input that has none."""

Labels = Mapping[str | bytes, Any]
"""By input, as questions are told apart."""
_NONE: Labels = {}


@dataclass(slots=True)
class Judged:
    """The books of a call with labels: what its own model said of labelled inputs, and how many inputs had no label.

    Parameters
    ----------
    site, model : of the call. truth : where labels come from. read : labels, once the query runs.
    target : agreement with them that is asked for (``llm_min_quality``). notice : told what the user should know.
    """

    site: str
    model: str
    truth: Truth
    read: Mapping[Truth, Labels]
    target: float
    notice: Callable[[str], None]
    tally: Tally = field(default_factory=Tally)
    unlabelled: int = 0
    _reaches: Bet = field(init=False)
    _misses: Bet = field(init=False)

    def __post_init__(self) -> None:
        least = min(max(self.target, 1e-6), 1.0 - 1e-6)
        self._reaches, self._misses = Bet(least, DELTA), Bet(least, DELTA, above=False)

    def label(self, values: Sequence[Any]) -> Any:
        """The right answer for an input; :data:`UNLABELLED` if nobody said."""
        return self.read.get(self.truth, _NONE).get(key_of(values), UNLABELLED)

    def see(self, label: Any, answers: Sequence[Any]) -> None:
        """What the model said of a labelled input; nothing, where it failed."""
        same = agreement(answers[0], label) if answers else 0.0
        self.tally.see(same, answers[0] if answers else None, label)
        # The first of the two to be proved stands.
        if not self.wanting:
            self._reaches.see(same)
        if not self.proved:
            self._misses.see(same)

    @property
    def proved(self) -> bool:
        """Whether the model has proved to agree as often as is asked for."""
        return self._reaches.won()

    @property
    def wanting(self) -> bool:
        """Whether it has proved not to."""
        return self._misses.won()

    @property
    def loss(self) -> float:
        """How often it seems not to agree."""
        return 1.0 - self.tally.mean()

    @property
    def verdict(self) -> str:
        """In words."""
        if self.wanting:
            return f"found wanting: below {self.target:.0%}"
        return f"which proves ≥ {self.target:.0%}" if self.proved else "not proved"

    def tell(self) -> None:
        """The call is over: say what its own model is worth, if that is not what was asked for."""
        if self.unlabelled and not self.tally.rows:
            self.notice(
                f"{self.site}: none of its {self.unlabelled:,} inputs is in {self.truth.table}, so nothing could be compared with "
                f"{self.truth.words}, and {self.model} answered. Inputs are found by their exact values."
            )
        elif self.wanting:
            self.notice(
                f"{self.site}: {self.model} agrees with {self.truth.words} in {self.tally.mean():.1%} of {self.tally.rows:,} rows, less "
                f"than llm_min_quality asks for ({self.target:.0%})."
            )
