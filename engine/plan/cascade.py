"""What is promised of a call's answers, and who answers most of its rows so that it costs less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ProxyKind = Literal["model", "embedding", "student", "named", "expression"]


@dataclass(frozen=True, slots=True)
class Guarantee:
    """A promise about the answers of one call, with its reference model's answers as the truth.

    Parameters
    ----------
    accuracy : share (0..1] of rows that are answered as the reference answers them; ``None``: not promised.
    precision : share of the rows that are kept that the reference keeps; of a BOOLEAN call only.
    recall : share of the rows that the reference keeps that are kept; of a BOOLEAN call only.
    delta : probability (0..1) with which the promise may be broken.

    >>> Guarantee(recall=0.9, precision=0.8, delta=0.1).words
    'precision ≥ 0.8 and recall ≥ 0.9 (δ = 0.1)'
    """

    accuracy: float | None = None
    precision: float | None = None
    recall: float | None = None
    delta: float = 0.05

    @property
    def words(self) -> str:
        """For people."""
        targets = (("accuracy", self.accuracy), ("precision", self.precision), ("recall", self.recall))
        promised = " and ".join(f"{metric} ≥ {target:g}" for metric, target in targets if target is not None)
        return f"{promised} (δ = {self.delta:g})"


@dataclass(frozen=True, slots=True)
class Cascade:
    """A call whose rows a proxy answers as far as a sample proves that the promise is kept; the reference answers the others.

    Parameters
    ----------
    guarantee : the promise.
    proxy : ``model``: a cheaper model's answer and its probability; ``embedding``: the likeness of the inputs' embeddings to the
        instruction's; ``student``: a logistic regression on embeddings, taught by the reference; ``named``: one that CREATE PROXY
        made; ``expression``: a score of the user's own.
    name : of the model, or of the proxy that was made ("": the optimizer picks). column : plan column of an ``expression``.
    """

    guarantee: Guarantee
    proxy: ProxyKind
    name: str = ""
    column: str = ""
