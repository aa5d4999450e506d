"""Whether the reference contradicts levels more often than they were calibrated to expect: rows, or the reference, have changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .examples import Floats

RATIOS = (1.5, 2.5, 5.0, 20.0)
"""By how much odds may have grown: small ones for what is doubted anyway, large ones for what was thought sure."""
SLACK = 1.25
"""Odds may be so much worse than calibrated without a change: students and their calibration are a few rows behind."""
RARELY = 1e5
"""Labelled rows between two false alarms, at least, on average and per detector."""


SUSPECTED = 150.0
"""Evidence at which nobody acts until there is more, or less: all rows are labelled meanwhile, so it is soon known."""
IN_DOUBT = 250
"""Labelled rows after which a suspicion that is no alarm yet is let go: doubts have been learnt from these rows by then."""


class Drift:
    """A detector per predicted class and one for all: each sums, over the starts that a change may have had, the likelihood ratio of
    grown odds of contradiction against the calibrated ones (Shiryaev and Roberts). Its mean grows by one a row while nothing has
    changed, so false alarms come once in ``RARELY`` rows at most (J. Shin, A. Ramdas and A. Rinaldo, "E-detectors", 2023).
    """

    def __init__(self, classes: int) -> None:
        self._evidence = np.zeros((classes + 1, len(RATIOS)))
        self._suspected = 0

    def see(self, choices: NDArray[np.int64], doubts: Floats, wrong: NDArray[np.bool_]) -> bool:
        """Labelled rows, in order: the class that a level named, its doubt when it did, and whether the reference contradicted it.

        Returns
        -------
        Whether there is an alarm; all evidence is forgotten then.
        """
        odds = SLACK * doubts / np.maximum(1 - doubts, 1e-9)
        expected = np.clip(odds / (1 + odds), 0.002, 0.98)
        for choice, chance, contradicted in zip(choices, expected, wrong, strict=True):
            for which in (choice, -1):
                ratios = [(r if contradicted else 1.0) / (1 + chance * (r - 1)) for r in RATIOS]
                self._evidence[which] = (self._evidence[which] + 1.0) * ratios
        alarm = float(self._evidence.mean(axis=1).max()) >= RARELY
        self._suspected = self._suspected + len(wrong) if self.suspected else 0
        if alarm or self._suspected > IN_DOUBT:
            self._evidence[:] = 0.0
            self._suspected = 0
        return alarm

    @property
    def suspected(self) -> bool:
        """Whether there is some evidence, though not enough for an alarm."""
        return float(self._evidence.mean(axis=1).max()) >= SUSPECTED

    def dump(self) -> dict[str, NDArray[Any]]:
        """What it has seen."""
        return {"evidence": self._evidence, "suspected": np.array(self._suspected)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """What :meth:`dump` gave."""
        self._evidence, self._suspected = state["evidence"].copy(), int(state["suspected"])
