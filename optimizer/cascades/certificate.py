"""What was proved of a call whose rows were answered by a proxy and by the reference."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ...engine.plan.cascade import Guarantee

Metric = Literal["accuracy", "precision", "recall"]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Rows = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Prices:
    """What one row costs, in any one unit.

    Parameters
    ----------
    reference : an answer of the reference. proxy : an answer of the proxy.
    """

    reference: float
    proxy: float


@dataclass(frozen=True, slots=True)
class Bound:
    """One quality: what was asked for, what was proved, and what it probably is.

    Parameters
    ----------
    target : asked for. certified : holds with the certificate's probability; 1 where the reference answered every row.
    estimate : expected from the sample; nothing is promised of it.
    """

    metric: Metric
    target: float
    certified: float
    estimate: float


@dataclass(frozen=True, slots=True)
class Certificate:
    """What holds of the whole result of a call, against what its reference model would have answered.

    Parameters
    ----------
    guarantee : what was asked for; ``guarantee.delta`` is the probability that a bound does not hold.
    rows, by_proxy, by_reference : how many, and who answered them. labels : rows the reference answered for the proof's sake,
        part of ``by_reference``. method : the test. sample_digest : hash of the keys of these rows ("": none was drawn).
    reason : why the reference answered every row ("": it did not).
    """

    guarantee: Guarantee
    bounds: tuple[Bound, ...]
    rows: int
    by_proxy: int
    by_reference: int
    labels: int
    method: str
    sample_digest: str
    reason: str = ""

    @property
    def reference_share(self) -> float:
        """Share of rows that the reference answered, for the proof or because the proxy could not.

        >>> Certificate(Guarantee(accuracy=0.9), (), 1000, 600, 400, 100, "", "").reference_share
        0.4
        """
        return self.by_reference / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whose answers are taken, row by row.

    Parameters
    ----------
    by_proxy : rows that need no reference. Every other row's answer is the reference's, those of the sample included.
    accepted : the final answers of rows ``by_proxy``; ``None`` at all others.
    """

    by_proxy: Flags
    accepted: Sequence[Hashable | None]
    certificate: Certificate
