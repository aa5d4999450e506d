"""A proxy that goes by how alike a row and what is asked of it are: cosines of embeddings, made probabilities by a few answers."""

from __future__ import annotations

from .students import Eye, StudentProxy
from .subject import Subject
from .vectors import Embedder

LABELS = 100
"""Answers of the reference that make probabilities of likenesses."""
EACH = 10
"""As many for each label, where there are many labels."""


def embedding_proxy(subject: Subject, embedder: Embedder) -> StudentProxy:
    """Likeness of a row's inputs to the instruction, or to each label, and of two inputs to each other.

    It has few weights, one for each likeness (for each label), so a few answers teach it what a likeness is worth.
    """
    return StudentProxy(Eye(subject, embedder, words=False), max(LABELS, EACH * len(subject.labels)), "embedding")
