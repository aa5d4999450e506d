"""Provider ``scripted``: a model whose answers are written down, or made from a hash, for tests and dry runs.

It counts a word (text between white space) as a token.
"""

from __future__ import annotations

import asyncio
import copy
import json
import math
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ...engine.errors import ModelError
from . import deterministic
from .backend import Backend, OptionSpec, boolean, integer, non_negative, positive_integer, ratio
from .base import (
    Capabilities,
    ChoiceAnswer,
    Embed,
    Generate,
    JsonAnswer,
    Model,
    ModelSpec,
    Reply,
    Request,
    TextAnswer,
    Usage,
)
from .choices import match_choice
from .hearing import listener
from .sending import sent

HEARD_CHARACTERS = 7
"""How much of an answer who listens hears at once."""
Matcher = str | re.Pattern[str] | Callable[[str], bool]
Outcome = str | Mapping[str, float] | Sequence[float] | Exception | Callable[[Request], "str | Reply"]
Rule = tuple[Matcher, Outcome]


@dataclass(frozen=True, slots=True)
class Fault:
    """The first ``times`` calls of each matching text raise ``error``.

    Parameters
    ----------
    match : a regular expression or a predicate on the user text; ``""`` matches all.
    error : what is raised. times : per distinct text.
    """

    match: Matcher
    error: Exception
    times: int = 1


class ScriptedModel:
    """A model that follows a script.

    Parameters
    ----------
    rules : pairs of a matcher (a regular expression or predicate on the user text, or on the text to embed) and what
        happens: an answer text, scores per choice, a vector, an exception to raise, or a function of the request. The
        first match holds; where none matches, the answer is made from a hash of the text and is always valid.
    capabilities : default: text, embeddings of ``dimension`` numbers, and scores.
    seed : varies the hashed answers.
    delay : awaited within each call; a test may wait for an event in it.
    pace : awaited before each piece of an answer to which somebody listens, with what was said before; a test may wait for
        an event in it, too.
    faults : failures before success. fail_ratio : share of texts, chosen by hash, that always fail.
    dimension : length of hashed vectors.

    >>> model = ScriptedModel([("refund", "yes")])
    >>> asyncio.run(model.call(Generate("", "I want a refund", ChoiceAnswer(("yes", "no"))))).text
    'yes'
    """

    def __init__(
        self,
        rules: Sequence[Rule] = (),
        *,
        capabilities: Capabilities | None = None,
        seed: int = 0,
        delay: Callable[[Request], Awaitable[None]] | None = None,
        pace: Callable[[str], Awaitable[None]] | None = None,
        faults: Sequence[Fault] = (),
        fail_ratio: float = 0.0,
        dimension: int = 16,
        name: str = "scripted",
    ) -> None:
        default = Capabilities(
            embeds=True, choice_scores=True, local=True, dimension=dimension, count_tokens=count_words
        )
        self._capabilities = capabilities or default
        self._rules, self._seed, self._delay, self._faults = tuple(rules), seed, delay, tuple(faults)
        self._pace = pace or _yielding
        self._fail_ratio, self._dimension, self._name = fail_ratio, self._capabilities.dimension or dimension, name
        self._failed: Counter[tuple[int, str]] = Counter()
        self._in_flight = 0
        self.calls: list[Request] = []
        self.max_in_flight = 0
        self.closed = False

    @property
    def identity(self) -> str:
        """Name and seed."""
        return f"scripted:{self._name}:{self._seed}:{self._dimension}"

    @property
    def capabilities(self) -> Capabilities:
        """What it plays."""
        return self._capabilities

    @property
    def in_flight(self) -> int:
        """Calls within :meth:`call` now."""
        return self._in_flight

    async def call(self, request: Request) -> Reply:
        """Answer by the script."""
        sent()
        self.calls.append(request)
        self._in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self._in_flight)
        started = time.perf_counter()
        try:
            if self._delay is not None:
                await self._delay(request)
            reply = self._answer(request, time.perf_counter() - started)
            await self._say(request, reply.text)
            return reply
        finally:
            self._in_flight -= 1

    async def close(self) -> None:
        """Remembers that it was closed."""
        self.closed = True

    async def _say(self, request: Request, text: str) -> None:
        """Hand the text over in pieces to who listens."""
        written = isinstance(request, Generate) and not isinstance(request.answer, ChoiceAnswer)
        if not written or (heard := listener()) is None:
            return
        heard.begin()
        for start in range(0, len(text), HEARD_CHARACTERS):
            await self._pace(text[:start])
            heard.text(text[start : start + HEARD_CHARACTERS])

    def _answer(self, request: Request, seconds: float) -> Reply:
        text = request.text if isinstance(request, Embed) else request.user
        self._fail(text)
        for matcher, outcome in self._rules:
            if _matches(matcher, text):
                return self._ruled(request, outcome, seconds)
        return self._hashed(request, text, seconds)

    def _fail(self, text: str) -> None:
        for number, fault in enumerate(self._faults):
            if _matches(fault.match, text) and self._failed[number, text] < fault.times:
                self._failed[number, text] += 1
                raise fault.error
        if self._fail_ratio and deterministic.fraction(f"{text}\0fail", self._seed) < self._fail_ratio:
            raise ModelError(f"Model {self._name} fails on this text, as its option fail_ratio asks.", self._name)

    def _ruled(self, request: Request, outcome: Outcome, seconds: float) -> Reply:
        if isinstance(outcome, Exception):
            raise copy.copy(outcome)  # as a server would: each call its own failure
        if callable(outcome):
            made = outcome(request)
            if isinstance(made, Reply):
                return made
            outcome = made
        match outcome:
            case str():
                return self._reply(request, outcome, seconds)
            case Mapping():
                best = max(outcome, key=lambda name: outcome[name])
                return self._reply(request, best, seconds, outcome)
            case _:
                return Reply(vector=tuple(map(float, outcome)), usage=_usage(request, ""), seconds=seconds)

    def _reply(self, request: Request, text: str, seconds: float, scores: Mapping[str, float] | None = None) -> Reply:
        if isinstance(request, Generate) and isinstance(request.answer, ChoiceAnswer):
            choices = request.answer.choices
            text = match_choice(text, choices, self._name)
            if not (request.answer.scores and self._capabilities.choice_scores):
                scores = None
            elif scores is None:
                # A rule that names a choice is as sure of it as a model can be said to be.
                scores = {name: math.log(0.98 if name == text else 0.02 / max(1, len(choices) - 1)) for name in choices}
        return Reply(text, scores, usage=_usage(request, text), seconds=seconds)

    def _hashed(self, request: Request, text: str, seconds: float) -> Reply:
        match request:
            case Embed():
                vector = deterministic.vector(text, self._dimension, self._seed)
                return Reply(vector=vector, usage=_usage(request, ""), seconds=seconds)
            case Generate(answer=ChoiceAnswer(choices)):
                chosen = deterministic.choice(text, choices, self._seed)
                return self._reply(request, chosen, seconds, deterministic.scores(text, choices, self._seed))
            case Generate(answer=JsonAnswer(schema)):
                return self._reply(request, self._json(text, schema), seconds)
            case Generate(answer=TextAnswer()):
                return self._reply(request, deterministic.sentence(text, self._seed), seconds)
            case _:
                raise AssertionError(request)

    def _json(self, text: str, schema: str) -> str:
        try:
            return deterministic.dumps(deterministic.json_value(text, json.loads(schema), self._seed))
        except ValueError as error:
            raise ModelError(
                f"Model {self._name} cannot make a value for this type: {error}. Give it a rule.", self._name
            ) from None


async def _yielding(_: str) -> None:
    """Whoever waits for what was said has a turn before the next words."""
    await asyncio.sleep(0)


async def count_words(text: str) -> int:
    """This model's tokens.

    >>> asyncio.run(count_words("two words"))
    2
    """
    return len(text.split())


def _matches(matcher: Matcher, text: str) -> bool:
    return bool(matcher(text)) if callable(matcher) else re.search(matcher, text) is not None


def _usage(request: Request, answer: str) -> Usage:
    asked = request.text if isinstance(request, Embed) else f"{request.system} {request.user}"
    return Usage(len(asked.split()), len(answer.split()))


def create(spec: ModelSpec) -> Model:
    """A scripted model from ``CREATE MODEL`` options."""
    options = cast(Mapping[str, Any], spec.options)
    dimension = options.get("dimension", 16)
    seconds = options.get("delay_ms", 0.0) / 1000

    async def delay(_: Request) -> None:
        await asyncio.sleep(seconds)

    capabilities = Capabilities(
        embeds=True,
        choice_scores=options.get("choice_scores", True),
        local=True,
        concurrency=options.get("concurrency", 64),
        dimension=dimension,
        count_tokens=count_words,
    )
    return ScriptedModel(
        capabilities=capabilities,
        seed=options.get("seed", 0),
        delay=delay if seconds else None,
        fail_ratio=options.get("fail_ratio", 0.0),
        name=spec.name,
    )


BACKEND = Backend(
    provider="scripted",
    tells=True,
    create=create,
    options={
        "seed": OptionSpec(integer, "varies the answers (default 0)"),
        "fail_ratio": OptionSpec(ratio, "share of texts that always fail, from 0 to 1 (default 0)"),
        "delay_ms": OptionSpec(non_negative, "milliseconds each call takes (default 0)"),
        "dimension": OptionSpec(positive_integer, "length of its embeddings (default 16)"),
        "choice_scores": OptionSpec(boolean, "give scores for choices (default true)"),
        "concurrency": OptionSpec(positive_integer, "most calls in flight (default 64)"),
        "price_in": OptionSpec(non_negative, "US dollars per million input words"),
        "price_out": OptionSpec(non_negative, "US dollars per million output words"),
    },
    builtin=(ModelSpec("scripted", "scripted"),),
    local=True,
)
