"""Where requests are met, answered and billed, whatever brought them: HTTP, or a call in the same process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from . import answers, asked
from .bill import Bill, Entry, Tokens
from .endpoint import Endpoint, Pace, pause
from .faults import Fault
from .profile import Profile
from .stats import Stats

T = TypeVar("T")
Kind = Literal["chat", "text", "embed"]
MeetFault = Callable[[int, dict[str, Any]], Fault | None]


class Refused(Exception):  # noqa: N818 (what a server says is no error of its own)
    """The request gets an HTTP error."""

    def __init__(
        self, status: int, message: str, *, code: str = "", param: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.headers = dict(headers or {})


class Broken(Exception):  # noqa: N818 (likewise)
    """The connection is to meet what the fault says, without any answer."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault.what))
        self.fault = fault


@dataclass(slots=True)
class Served:
    """An answer about to be delivered: its reply, how fast its tokens come, and what goes wrong on the way."""

    kind: Kind
    reply: dict[str, Any]
    pace: Pace
    tokens: Tokens
    entry: Entry
    fault: Fault | None = None
    since: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    def answered(self) -> None:
        """To be called before the last byte leaves: whoever has it may look at the bill at once."""
        self.entry.close("answered", self.tokens)

    @property
    def written(self) -> Tokens:
        """What has been worked so far."""
        passed = asyncio.get_running_loop().time() - self.since
        count = 1 + int(passed / self.pace.token_s) if self.pace.token_s else self.tokens.tokens_out
        return Tokens(self.tokens.tokens_in, self.tokens.tokens_cached, min(count, self.tokens.tokens_out))


class Desk:
    """All models of a simulator.

    Parameters
    ----------
    profiles : the models. A simulator of one model answers to any name.
    schedule : fault by number of the request (from 0). fault : or by a function of number and body.
    reject : top-level keys, or types of ``response_format``, that get a 400 as from a server that does not know them.
    answer : the answer's text from the request's body, or a log-probability for each choice.
    """

    def __init__(
        self,
        profiles: Sequence[Profile],
        *,
        schedule: Mapping[int, Fault],
        fault: MeetFault | None,
        reject: Collection[str],
        answer: Callable[[dict[str, Any]], answers.Answer],
        seed: int,
    ) -> None:
        self.profiles = tuple(profiles)
        self._endpoints = {profile.model: Endpoint(profile, seed) for profile in profiles}
        self._schedule, self._fault, self._reject = dict(schedule), fault, frozenset(reject)
        self._answer, self._seed = answer, seed
        self.closing = asyncio.Event()  # what never answers waits for it
        self.reset()

    def reset(self) -> None:
        """A new bill."""
        self.bill = Bill(self.profiles)
        self.stats = Stats(self.bill)

    async def serve(self, kind: Kind, body: dict[str, Any], deliver: Callable[[Served], Awaitable[T]]) -> T:
        """Meet a request; what is delivered is answered in full when ``deliver`` has called ``Served.answered``.

        Raises
        ------
        Refused, Broken : it is not answered.
        """
        endpoint, stats, number = self._endpoint(str(body.get("model"))), self.stats, self.stats.requests
        entry = self.bill.open(endpoint.profile.model)
        stats.come()
        try:
            fault = self._schedule.get(number) or (self._fault(number, body) if self._fault else None)
            stats.faults += fault is not None
            return await self._meet(_Request(kind, body, endpoint, entry, fault), deliver)
        except Refused as refused:
            entry.close("refused" if refused.status < 500 else "failed")
            raise
        except Broken:
            entry.close("failed")
            raise
        finally:
            entry.close("cancelled")
            stats.go()

    def _endpoint(self, model: str) -> Endpoint:
        if len(self.profiles) == 1:
            return self._endpoints[self.profiles[0].model]
        if model not in self._endpoints:
            raise Refused(404, f"The model `{model}` does not exist.", code="model_not_found", param="model")
        return self._endpoints[model]

    async def _meet(self, request: _Request, deliver: Callable[[Served], Awaitable[T]]) -> T:
        if request.fault is not None:
            await self._fail_at_once(request.fault, request.entry)
        prompt, endpoint = asked.prompt(request.body), request.endpoint
        if request.fault is None and (wait := endpoint.refusal_s(len(prompt))):
            self.stats.faults += 1
            raise Refused(429, "rate limit reached", headers={"Retry-After": f"{wait:.3f}"})
        if word := self._rejected(request.body):
            raise Refused(400, f"Invalid parameter: '{word}' is not supported by this server.", param=word)
        async with endpoint.turn():
            pace, served = endpoint.begin(prompt), None
            try:
                await pause(pace.head_s)
                served = self._served(request, pace, len(prompt))
                return await deliver(served)
            finally:
                done = served.written if served else Tokens(len(prompt))
                request.entry.close("failed" if request.fault else "cancelled", done)

    async def _fail_at_once(self, fault: Fault, entry: Entry) -> None:
        if isinstance(fault.what, int):
            raise Refused(fault.what, fault.message, code=fault.code, headers=fault.headers)
        if fault.what == "timeout":
            entry.close("failed")
            await self.closing.wait()
        if fault.what in ("timeout", "drop"):
            raise Broken(fault)

    def _served(self, request: _Request, pace: Pace, tokens_in: int) -> Served:
        endpoint, reply = request.endpoint, self._reply(request)
        tokens = Tokens(tokens_in, pace.tokens_cached, answers.tokens_out(reply))
        endpoint.wrote(tokens.tokens_out)
        reply["usage"] = answers.usage(tokens, cache=endpoint.profile.cache_tokens > 0)
        return Served(request.kind, reply, pace, tokens, request.entry, request.fault)

    def _reply(self, request: _Request) -> dict[str, Any]:
        body, fault = request.body, request.fault
        match request.kind:
            case "embed":
                return answers.embedding_reply(body, request.endpoint.profile.dimension, self._seed)
            case "text":
                chats = [answers.as_chat(body, text) for text in asked.texts(body)]
                return answers.completion_reply(
                    body, [answers.chat_reply(chat, self._answer(chat), fault) for chat in chats]
                )
            case "chat":
                return answers.chat_reply(body, self._answer(body), fault)

    def _rejected(self, body: dict[str, Any]) -> str:
        if not self._reject:
            return ""
        words = {*body, str((body.get("response_format") or {}).get("type"))}
        return next((word for word in sorted(self._reject) if word in words), "")


@dataclass(frozen=True, slots=True)
class _Request:
    kind: Kind
    body: dict[str, Any]
    endpoint: Endpoint
    entry: Entry
    fault: Fault | None
