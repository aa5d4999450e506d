"""What is known of a row's inputs without asking the reference: hashed words, embeddings, and how alike these are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....optimizer.cascades.students import Features, Floats, Sparse
from ....udfs.prompts.inputs import render

BUCKETS = 1 << 16
"""Words are hashed, so there is no vocabulary that rows to come could have had a part in."""
_WORD = r"(?u)\b\w+\b"

Texts = Sequence[Sequence[str]]
"""A row's inputs as texts, per row."""


def texts_of(rows: Sequence[Sequence[Any]]) -> Texts:
    """Inputs as a prompt would show them."""
    return [[render(value) for value in row] for row in rows]


def grams(rows: Texts) -> Sparse:
    """Words and pairs of words, hashed, of each input in its own buckets; a row of length 1 for each input."""
    from scipy import sparse
    from sklearn.feature_extraction.text import HashingVectorizer

    if not rows:
        return sparse.csr_matrix((0, BUCKETS))
    hashed = HashingVectorizer(n_features=BUCKETS, ngram_range=(1, 2), token_pattern=_WORD, dtype=np.float64)
    return sparse.hstack([hashed.transform(column) for column in zip(*rows, strict=True)], format="csr")


def none(rows: int) -> Sparse:
    """No words at all."""
    from scipy import sparse

    return sparse.csr_matrix((rows, 0))


def likenesses(vectors: Sequence[Floats], anchors: Floats) -> Floats:
    """A row's inputs beside what is asked of them: cosines of each input with each anchor, and of two inputs with each other.

    Parameters
    ----------
    vectors : of length 1, per input: a row per row. anchors : of length 1: of the instruction, or of each label.
    """
    asked = [each @ anchors.T for each in vectors if len(anchors)]
    pairs = [(vectors[0] * vectors[1]).sum(axis=1, keepdims=True)] if len(vectors) == 2 else []
    return np.hstack([np.zeros((len(vectors[0]), 0)), *asked, *pairs])


def features(rows: Texts, vectors: Sequence[Floats] | None, anchors: Floats) -> Features:
    """All there is: words, and with ``vectors`` the embeddings (of two inputs their product, too) and their likenesses."""
    if vectors is None:
        return Features(grams(rows))
    products = [vectors[0] * vectors[1]] if len(vectors) == 2 else []
    alike = likenesses(vectors, anchors)
    return Features(grams(rows), (*vectors, *products, *([alike] if alike.shape[1] else [])))
