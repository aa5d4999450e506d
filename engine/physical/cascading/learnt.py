"""Proxies that learn, or have learnt, from the reference: made ready to answer for a call under its promise."""

from __future__ import annotations

from ...dataflow.run import QueryRun
from ...plan.cascade import Cascade
from ..operators.call_stage import CallStage, Proxied
from .embedding import embedding_proxy
from .named import named_proxy
from .proxy import Proxy
from .students import student_proxy
from .subject import subject_of
from .vectors import Models, open_embedder

KINDS = frozenset({"student", "embedding", "named"})


def learnt_proxied(reference: CallStage, cascade: Cascade, run: QueryRun, models: Models) -> Proxied:
    """A proxy of one of :data:`KINDS`. What it costs is what its vectors cost, which is next to nothing beside an answer.

    Parameters
    ----------
    reference : the call as written. models : opens the embedding model.

    Raises
    ------
    BindError : it names a proxy that is not there, or cannot answer the call.
    """
    subject = subject_of(reference.call)
    if subject is None or not subject.inputs:
        return _nobody(cascade, "its answers are not of a set that is known beforehand, and cannot be learnt")
    embedder = open_embedder(reference.call, run, models)
    if cascade.proxy == "named":
        return _made(cascade, named_proxy(run.store, cascade.name, reference.call, embedder))
    if cascade.proxy == "student":
        return _made(cascade, student_proxy(subject, embedder))
    if embedder is None:
        model = run.settings.llm_embedding_model
        return _nobody(cascade, f"{model} is no embedding model that is at hand: SET llm_embedding_model to one")
    return _made(cascade, embedding_proxy(subject, embedder))


def _made(cascade: Cascade, proxy: Proxy) -> Proxied:
    return Proxied(cascade, proxy.name, lambda _: proxy, lambda _: None)


def _nobody(cascade: Cascade, why: str) -> Proxied:
    return Proxied(cascade, "", None, lambda _: None, why)
