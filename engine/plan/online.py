"""A call whose rows are answered by students that learn from its model while it answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Online:
    """Who answers a call beside its own model (the reference), the cheapest first, and how much they may lose by it.

    Parameters
    ----------
    loss : share of rows (0..1) in which answers may differ from the reference's.
    labels : all answers there are; (): TRUE and FALSE.
    small : a model between students and reference ("": none).
    embedding : a model whose vectors a student learns from beside words ("": words alone).

    >>> Online(0.03).target
    0.97
    """

    loss: float
    labels: tuple[str, ...] = ()
    small: str = ""
    embedding: str = ""

    @property
    def target(self) -> float:
        """Agreement with the reference that has to be kept."""
        return 1.0 - self.loss
