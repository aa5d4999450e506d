"""What can go wrong with a request, and how often."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, get_args

Kind = Literal[
    "timeout",  # no answer ever
    "drop",  # the connection is reset at once
    "slow_loris",  # the answer comes, a few bytes a second
    "truncated_body",  # the connection is reset in the middle of the answer
    "truncated_sse",  # the answer ends in the middle as if it were whole: no [DONE], or half of a JSON object
    "garbage",  # a proxy's HTML in place of JSON
    "empty_choices",  # JSON of the right shape without an answer in it
    "malformed_json",  # the model's own JSON is broken (a request for free text is answered as ever)
    "wrong_schema",  # the model's answer is outside what was asked for (likewise)
    "truncated",  # the model's answer is cut at its length, and says so
]
KINDS: tuple[Kind, ...] = get_args(Kind)
STATUSES = (429, 500, 503)


@dataclass(frozen=True, slots=True)
class Fault:
    """What one request meets: an HTTP status (with headers), or a kind of misbehaviour."""

    what: int | Kind
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "simulated fault"
    code: str = ""


class FaultRates:
    """Faults that come by chance, the same for the same questions whatever order they come in.

    A request's luck depends on its body and on how often that body came before, so that trying again helps.

    Parameters
    ----------
    rates : the share of requests that meet each fault. seed : of the chance. retry_after_s : what a 429 asks for.

    >>> rates = FaultRates({429: 0.5, "drop": 0.5})
    >>> rates(0, {"messages": []}).what in (429, "drop")
    True
    """

    def __init__(self, rates: Mapping[int | Kind, float], seed: int = 0, retry_after_s: float = 0.01) -> None:
        if unknown := [what for what in rates if not isinstance(what, int) and what not in KINDS]:
            raise ValueError(f"no such fault: {unknown[0]}; there are HTTP statuses and {', '.join(KINDS)}")
        if sum(rates.values()) > 1 + 1e-9:
            raise ValueError(f"the rates of all faults add up to {sum(rates.values()):g}, which is more than 1")
        self._seed = seed
        self._faults = [(rate, self._fault(what, retry_after_s)) for what, rate in rates.items()]
        self._met: Counter[bytes] = Counter()

    def __call__(self, number: int, body: dict[str, Any]) -> Fault | None:
        """The fault that this request meets."""
        del number
        digest = hashlib.blake2b(json.dumps(body, sort_keys=True).encode(errors="replace"), digest_size=16).digest()
        self._met[digest] += 1
        luck = Random(f"{self._seed}:{digest.hex()}:{self._met[digest]}").random()
        for rate, fault in self._faults:
            luck -= rate
            if luck < 0:
                return fault
        return None

    @staticmethod
    def _fault(what: int | Kind, retry_after_s: float) -> Fault:
        return Fault(what, {"Retry-After": f"{retry_after_s:g}"} if what == 429 else {})
