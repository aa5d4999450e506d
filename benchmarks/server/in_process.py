"""The simulator without HTTP: a model in this process, for benchmarks in SIMULATED (or real) time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from anserdb.engine.errors import ModelUnavailable
from anserdb.udfs.models.base import Capabilities, ChoiceAnswer, Embed, Reply, Request
from anserdb.udfs.models.chat_format import Dialect, read_usage
from anserdb.udfs.models.hearing import Listener, listener
from anserdb.udfs.models.http_errors import Endpoint as Address
from anserdb.udfs.models.http_errors import Refusal, refused, retry_after
from anserdb.udfs.models.sending import answered, sent

from .answers import Answer, scripted_answer
from .asked import words
from .desk import Broken, Desk, Kind, MeetFault, Refused, Served
from .endpoint import pause
from .faults import Kind as FaultKind
from .profile import Profile
from .seen import Seen
from .streaming import Stopwatch

_BROKEN: tuple[FaultKind, ...] = ("garbage", "truncated_body", "truncated_sse", "slow_loris")


class InProcessModel(Seen):
    """A model of the engine's that a simulated endpoint answers; time is the running loop's.

    Parameters
    ----------
    profile : what it is like. fault : see :class:`~.loopback.LoopbackServer`. answer, seed : likewise.

    >>> from anserdb.udfs.models.base import Generate
    >>> from benchmarks.server.simulated_time import run_simulated
    >>> model = InProcessModel(Profile(latency_s=2.0, cap=1))
    >>> async def work():
    ...     return await asyncio.gather(*[model.call(Generate("", f"row {i}")) for i in range(8000)])
    >>> replies, seconds = run_simulated(work())
    >>> len(replies), seconds, model.bill.total.answered
    (8000, 16000.0, 8000)
    """

    def __init__(
        self,
        profile: Profile,
        *,
        fault: MeetFault | None = None,
        answer: Callable[[dict[str, Any]], Answer] | None = None,
        seed: int = 0,
    ) -> None:
        self._desk = Desk(
            (profile,), schedule={}, fault=fault, reject=(),
            answer=answer or (lambda body: scripted_answer(body, seed)), seed=seed,
        )  # fmt: skip
        self._profile, self._dialect = profile, Dialect(profile.model, scores=True)
        self._address = Address(profile.model, profile.model, "simulated", "NO_KEY")

    @property
    def identity(self) -> str:
        """Says that it is simulated."""
        return f"simulated:{self._profile.model}"

    @property
    def capabilities(self) -> Capabilities:
        """Those of a server."""
        profile = self._profile
        return Capabilities(
            embeds=True, choice_scores=True, prefix_cache=profile.cache_tokens > 0, dimension=profile.dimension
        )

    async def call(self, request: Request) -> Reply:
        """One answer; faults become the errors that they are over HTTP."""
        started = asyncio.get_running_loop().time()
        if isinstance(request, Embed):
            reply = await self._serve("embed", self._dialect.embeddings(request.text, self._profile.dimension))
            seconds = asyncio.get_running_loop().time() - started
            return Reply(vector=tuple(reply["data"][0]["embedding"]), usage=read_usage(reply), seconds=seconds)
        heard = None if isinstance(request.answer, ChoiceAnswer) else listener()
        reply = await self._serve("chat", self._dialect.chat(request), heard)
        answered(read_usage(reply))
        seconds = asyncio.get_running_loop().time() - started
        return self._dialect.read(request, reply, seconds, self._profile.model)

    async def close(self) -> None:
        """Nothing is open."""

    async def _serve(self, kind: Kind, body: dict[str, Any], heard: Listener | None = None) -> dict[str, Any]:
        async def deliver(served: Served) -> dict[str, Any]:
            if served.fault is not None and served.fault.what in _BROKEN:
                raise Broken(served.fault)
            await _written(served, heard)
            served.answered()
            return served.reply

        try:
            sent()
            return await self._desk.serve(kind, body, deliver)
        except Refused as error:
            wait = retry_after(error.headers)
            refusal = Refusal(error.status, error.message, error.code, "", error.param, wait)
        except Broken as broken:
            name = self._profile.model
            raise ModelUnavailable(f"Model {name}: no answer ({broken.fault.what}).", name) from None
        raise refused(refusal, self._address)


async def _written(served: Served, heard: Listener | None) -> None:
    """The time of the answer, heard as it passes."""
    if heard is None:
        await pause(served.pace.token_s * served.tokens.tokens_out)
        return
    heard.begin()
    watch = Stopwatch(served.pace.token_s)
    for number, word in enumerate(words(served.reply["choices"][0]["message"]["content"])):
        await watch.until(number)
        heard.text(word)
