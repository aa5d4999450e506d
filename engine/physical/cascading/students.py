"""Proxies that are taught: students of words and embeddings, by the reference's answers to rows of the same query."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ....optimizer.cascades.students import Features, Floats, Student, fit
from ...dataflow.worker import Worker
from ...errors import DataError, ModelError
from .features import features, likenesses, none, texts_of
from .proxy import Judged
from .subject import Subject
from .vectors import Embedder

FIRST = 200
"""Answers of the reference that a student is taught with at first: rows drawn by chance."""
SHARE, MOST = 0.1, 1000
"""It is taught with as large a share of all rows in the end, and with no more than so many: with those that it is least sure of. A
reference would have to answer most of these anyway."""
ROUNDS = 3
LOOKS = 8_000
"""Rows among which it looks for those."""
CHUNK = 2048
"""Rows whose features are in memory at once."""

_worker = Worker("anserdb-student")
"""Not the thread that looks into stores: other queries wait for that one."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Features of rows. ``whole`` : which rows have all of them: those whose embedding failed are not among ``features``."""

    features: Features
    whole: NDArray[np.bool_]


class Sees(Protocol):
    """Knows features of rows."""

    async def see(self, rows: Sequence[Sequence[Any]]) -> Seen:
        """Their features. Raises ModelError, DataError: of no row they are known."""
        ...


class Eye:
    """Sees words and embeddings of rows.

    Parameters
    ----------
    subject : what is asked of them. embedder : makes vectors; ``None``: there are words alone. words : whether words count.
    """

    def __init__(self, subject: Subject, embedder: Embedder | None, *, words: bool) -> None:
        self._subject, self.embedder, self._words = subject, embedder, words
        self._anchors: Floats | None = None

    async def see(self, rows: Sequence[Sequence[Any]]) -> Seen:
        """Their features.

        Raises
        ------
        ModelError, DataError : no row can be embedded.
        """
        texts = texts_of(rows)
        if self.embedder is None:
            return Seen(await _worker.run(partial(features, texts, None, _NOTHING)), np.ones(len(rows), dtype=bool))
        anchors = await self._anchored(self.embedder)
        vectors = [await self.embedder.of([row[i] for row in texts]) for i in range(self._subject.inputs)]
        whole = np.all([np.isfinite(each).all(axis=1) for each in vectors], axis=0)
        kept = [row for row, known in zip(texts, whole, strict=True) if known]
        found = [each[whole] for each in vectors]
        make = partial(features, kept, found, anchors) if self._words else partial(_alike, found, anchors)
        return Seen(await _worker.run(make), whole)

    async def _anchored(self, embedder: Embedder) -> Floats:
        if self._anchors is None:
            asked = await embedder.of(self._subject.anchors)
            if not np.isfinite(asked).all():  # features are the same ones for all rows, or they mean nothing
                raise DataError(
                    f"{self._subject.words!r:.80} cannot be embedded in full, so no row can be compared with it."
                )
            self._anchors = asked
        return self._anchors


_NOTHING: Floats = np.zeros((0, 0))


def _alike(vectors: Sequence[Floats], anchors: Floats) -> Features:
    return Features(none(len(vectors[0])), (likenesses(vectors, anchors),))


class StudentProxy:
    """See :class:`~.proxy.Proxy`. It learns from words and, where an embedding model is at hand, embeddings.

    Parameters
    ----------
    eye : sees rows. labels : answers that it wants at first. name : for people.
    """

    def __init__(self, eye: Sees, labels: int = FIRST, name: str = "student") -> None:
        self._eye, self.labels, self.name = eye, labels, name
        self._student: Student | None = None
        self._blind: ModelError | DataError | None = None

    async def train(self, rows: Sequence[Sequence[Any]], answers: Sequence[Any]) -> None:
        """See :class:`~.proxy.Proxy`. Raises ValueError where there is nothing to learn from."""
        try:
            seen = await self._eye.see(rows)
        except (ModelError, DataError) as error:
            self._blind = error  # the rows it is to answer hear of it
            return
        known = [answer for answer, whole in zip(answers, seen.whole, strict=True) if whole]
        self._student = await _worker.run(partial(fit, seen.features, known))

    async def answer(self, rows: Sequence[Sequence[Any]]) -> Sequence[Judged | None]:
        """See :class:`~.proxy.Proxy`."""
        return await judged(self.learnt, self._eye, rows)

    @property
    def learnt(self) -> Student:
        """What it was taught. Raises ModelError, DataError: none of the rows could be embedded."""
        if self._blind is not None:
            raise self._blind
        assert self._student is not None  # see ``train``
        return self._student


class CuriousStudent(StudentProxy):
    """A :class:`StudentProxy` that goes on to learn from the rows that it is least sure of, in a few rounds."""

    def __init__(self, eye: Sees) -> None:
        super().__init__(eye)
        self._rounds, self._known, self._all = 0, 0, 0

    async def train(self, rows: Sequence[Sequence[Any]], answers: Sequence[Any]) -> None:
        """See :class:`~.proxy.Proxy`."""
        self._known = len(rows)
        await super().train(rows, answers)

    async def curious(self, rows: Sequence[Sequence[Any]]) -> Sequence[int]:
        """See :class:`~.proxy.Curious`."""
        self._all = self._all or self._known + len(rows)
        left = min(MOST, int(SHARE * self._all)) - self._known
        if self._blind is not None or self._rounds == ROUNDS or left <= 0:
            return ()
        wanted = left // (ROUNDS - self._rounds)
        self._rounds += 1
        looked = range(0, len(rows), max(1, math.ceil(len(rows) / LOOKS)))
        try:
            said = await judged(self.learnt, self._eye, [rows[at] for at in looked])
        except (ModelError, DataError) as error:
            self._blind = error
            return ()
        unsure = sorted((each.certainty, at) for at, each in zip(looked, said, strict=True) if each is not None)
        return [at for _, at in unsure[:wanted]]


async def judged(student: Student, eye: Sees, rows: Sequence[Sequence[Any]]) -> list[Judged | None]:
    """What a student says of rows; ``None``: a row that it cannot see."""
    said: list[Judged | None] = []
    for start in range(0, len(rows), CHUNK):
        seen = await eye.see(rows[start : start + CHUNK])
        answers, sure = await _worker.run(partial(student.judge, seen.features))
        found = iter(zip(answers, sure.tolist(), strict=True))
        said += [Judged(*next(found)) if whole else None for whole in seen.whole]
    return said


def student_proxy(subject: Subject, embedder: Embedder | None) -> CuriousStudent:
    """A student of a call, taught while the query runs."""
    return CuriousStudent(Eye(subject, embedder, words=True))
