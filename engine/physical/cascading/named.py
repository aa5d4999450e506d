"""Proxies that CREATE PROXY made, found again: by their names, or by what they learnt."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....optimizer.cascades.students import Student, packed, unpacked
from ....optimizer.cascades.tested import proven_share
from ....udfs.models.base import ModelSpec
from ...errors import BindError
from ...plan.cascade import Guarantee
from ...plan.nodes import SemanticCall
from ...store import Store
from ...store.proxies import StoredProxy
from ..task_keys import task_key
from .proxy import Judged
from .students import Eye, judged
from .subject import Subject, subject_of
from .vectors import Embedder

STUDENT, ANCHORS = "student", "anchors"
LEAST_SHARE = 0.2
"""Of a proxy's hold-out that it must be proved to answer well enough, or a model is asked instead."""


class NamedProxy:
    """See :class:`~.proxy.Proxy`. It was taught before, and is tested on the query's own rows as any other.

    Parameters
    ----------
    stored : it. eye : sees rows as it saw those that it learnt from.
    """

    labels = 0

    def __init__(self, stored: StoredProxy, eye: Eye) -> None:
        self.name = stored.name
        self._eye, self._student = eye, student_of(stored)

    async def train(self, rows: Sequence[Sequence[Any]], answers: Sequence[Any]) -> None:
        """It was taught when it was made."""

    async def answer(self, rows: Sequence[Sequence[Any]]) -> Sequence[Judged | None]:
        """See :class:`~.proxy.Proxy`."""
        return list(await judged(self._student, self._eye, rows))


def named_proxy(store: Store, name: str, call: SemanticCall, embedder: Embedder | None) -> NamedProxy:
    """A proxy by its name, for a call. It may have learnt another condition: what it is worth here is found out here.

    Raises
    ------
    BindError : there is none of that name, it answers something else than the call asks, or its embedding model is not at hand.
    """
    stored = store.proxies.find(name)
    if stored is None:
        known = [proxy.name for proxy in store.proxies.all()]
        near = difflib.get_close_matches(name, known, n=2)
        raise BindError(f"There is no proxy {name}. SHOW PROXIES lists them; CREATE PROXY makes one.", None, name, near)
    subject = _fitting(stored, call)
    if stored.embedded_by and (embedder is None or embedder.identity != stored.embedded_by):
        raise BindError(
            f"Proxy {stored.name} learnt from embeddings of {stored.embedded_by}, which is not the embedding model now: SET "
            f"llm_embedding_model to it, or teach the proxy anew with CREATE OR REPLACE PROXY {stored.name}.",
            None,
            stored.name,
        )
    learnt = replace(subject, anchors=tuple(json.loads(stored.told)[ANCHORS]))
    return NamedProxy(stored, Eye(learnt, embedder if stored.embedded_by else None, words=True))


def told_of(student: Student, subject: Subject) -> tuple[str, bytes]:
    """A student as it is stored, with what its rows were compared with."""
    told, numbers = packed(student)
    return json.dumps({STUDENT: told, ANCHORS: subject.anchors}, ensure_ascii=False), numbers


def student_of(stored: StoredProxy) -> Student:
    """The student of a stored proxy."""
    return unpacked(json.loads(stored.told)[STUDENT], stored.numbers)


def best_proxy(store: Store, call: SemanticCall, spec: ModelSpec, embedded_by: str) -> str | None:
    """The proxy that learnt this very call and whose hold-out proves most: at least :data:`LEAST_SHARE` of rows for an accuracy,
    and for precision or recall that all its answers agree as often as that. ``None``: there is none, or nothing is promised.

    Parameters
    ----------
    spec : of the call's own model. embedded_by : what vectors depend on now; a proxy that needs others is left out.
    """
    if call.cascade is None:
        return None
    usable = [s for s in store.proxies.of_task(task_key(call, spec)) if s.embedded_by in ("", embedded_by)]
    proved = {stored.name: _promised(stored, call.cascade.guarantee) for stored in usable}
    best = max(proved, key=lambda name: (proved[name], name), default="")
    return best if best and proved[best] >= LEAST_SHARE else None


def tested(stored: StoredProxy) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """How sure it was of each row of its hold-out, and whether it agreed."""
    pairs = np.frombuffer(stored.tested, dtype="<f4").reshape(-1, 2)
    return pairs[:, 0].astype(np.float64), pairs[:, 1] > 0.5


def _promised(stored: StoredProxy, guarantee: Guarantee) -> float:
    targets = [t for t in (guarantee.precision, guarantee.recall) if t is not None]
    shares = [float(proven_share(*tested(stored), target, guarantee.delta) == 1.0) for target in targets]
    if guarantee.accuracy is not None:
        shares.append(proven_share(*tested(stored), guarantee.accuracy, guarantee.delta))
    return min(shares)


def _fitting(stored: StoredProxy, call: SemanticCall) -> Subject:
    """What the call asks. Raises BindError: the proxy answers something else."""
    subject = subject_of(call)
    labels = () if subject is None else subject.labels
    learnt = set(student_of(stored).labels)
    if (
        subject is None
        or subject.function != stored.function
        or subject.inputs != stored.inputs
        or not learnt <= {*labels, *(() if labels else (True, False))}
    ):
        inputs = "1 input" if stored.inputs == 1 else f"{stored.inputs} inputs"
        raise BindError(
            f"Proxy {stored.name} answers {stored.function} about {inputs} ({stored.words}), and cannot answer {call.site}. "
            "Name another, or make one for this call with CREATE PROXY.",
            None,
            stored.name,
        )
    return subject
