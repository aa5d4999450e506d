"""Replies as bytes for the store: compact JSON, vectors as base64 of little-endian float32."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from typing import Any

import numpy as np

from ...udfs.models.base import Reply, Usage


def encode(reply: Reply) -> bytes:
    """What of a reply outlives it: text, scores, vector and usage; not its time, which a reuse does not take.

    >>> encode(Reply("yes", usage=Usage(3, 1)))
    b'{"t":"yes","u":[3,1,null]}'
    """
    usage = reply.usage
    document: dict[str, Any] = {"t": reply.text}
    if reply.scores is not None:
        document["s"] = dict(reply.scores)
    if reply.vector is not None:
        document["v"] = base64.b64encode(np.asarray(reply.vector, "<f4").tobytes()).decode()
    document["u"] = [usage.tokens_in, usage.tokens_out, usage.tokens_cached]
    # ASCII escapes, because text from servers may hold lone surrogates, which UTF-8 cannot.
    return json.dumps(document, separators=(",", ":")).encode()


_ENERGY = re.compile(rb',"j":([0-9.e+-]+)}$')


def with_energy(answer: bytes, joules: float) -> bytes:
    """An encoded answer that also tells what was measured when it was made.

    >>> energy_in(with_energy(encode(Reply("yes")), 0.25))
    0.25
    """
    return b'%s,"j":%.6g}' % (answer[:-1], joules)


def energy_in(answer: bytes) -> float | None:
    """Joules that :func:`with_energy` noted; ``None``: nobody measured."""
    found = _ENERGY.search(answer, max(0, len(answer) - 32))
    return None if found is None else float(found[1])


def kept_form(reply: Reply) -> Reply:
    """The reply as the store will give it back: a vector in single precision, so that a rerun computes the same with it.

    >>> kept_form(Reply(vector=(0.1,))).vector
    (0.10000000149011612,)
    """
    if reply.vector is None:
        return reply
    return replace(reply, vector=tuple(np.asarray(reply.vector, "<f4").tolist()))


def decode(data: bytes) -> Reply:
    """The reply that :func:`encode` wrote.

    >>> decode(encode(Reply("yes", scores={"yes": -0.5}))).scores
    {'yes': -0.5}
    """
    document = json.loads(data)
    vector = document.get("v")
    return Reply(
        text=document["t"],
        scores=document.get("s"),
        vector=None if vector is None else tuple(np.frombuffer(base64.b64decode(vector), "<f4").tolist()),
        usage=Usage(*document["u"]),
    )
