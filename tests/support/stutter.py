"""A reader that is refused at first: what was heard of its lists has to be taken back."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from anserdb.udfs.models.base import Capabilities, Generate, Reply, Request
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.batched_prompts import in_company
from tests.support.reader import read, shown_values


def stuttering_model(pace: Callable[[str], Awaitable[None]]) -> ScriptedModel:
    """The reader, which stutters, at a pace."""
    capabilities = Capabilities(choice_scores=False, concurrency=8)
    return ScriptedModel([(lambda _: True, _stutter)], capabilities=capabilities, name="stutters", pace=pace)


def _stutter(request: Request) -> str | Reply:
    """The first answer to a split of several words begins with the last, goes on with one that is not there, and is refused."""
    assert isinstance(request, Generate)
    words = shown_values(request)[0].split() if '"parts"' in request.system else []
    if len(words) > 1 and not request.attempt:
        return json.dumps({"parts": [words[-1], "not in the text"]})
    return in_company(read)(request)
