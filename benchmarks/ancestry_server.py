"""The SIMULATED server of ``bench-ancestry``: the simulator with scripted answers, slow verdicts, and a log of what came when.

Its answers depend on the text that is asked about alone, so all clients get the same: a document's sentences for its parts,
steps for a problem, yes or no by a hash. ``#12.3`` in a text says of which document it is and of which of its items, for the log.
Verdicts are late by the hash, too, and a part of them is slow.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import re
import sys
from dataclasses import astuple, dataclass
from typing import Any, Literal, cast

from aiohttp import web

from .server.answers import Answer
from .server.asked import asked_choices, asked_schema, user_text
from .server.child import CountingChild
from .server.loopback import LoopbackServer

Stage = Literal["list", "verdict", "text"]

SPREAD_S, SLOW_S, SLOW_SHARE = 0.1, 1.0, 0.05
"""A verdict takes 0 to ``SPREAD_S`` longer than any answer of its length; ``SLOW_SHARE`` of them ``SLOW_S`` more."""
YES_SHARE, WORDS = 0.7, 7
"""Of verdicts; of a text that is no list."""
_TAG = re.compile(r"#(\d+)(?:\.(\d+))?")
_STEPS = re.compile(r"in (\d+) ways")
_SENTENCE = re.compile(r"[^.]*#\d+\.\d+[^.]*\.")


@dataclass(slots=True)
class Event:
    """One request, in seconds of the server's clock.

    Parameters
    ----------
    document : whose. items : how many of its items it is about. digest : of what was asked, streamed or not.
    arrived, ended : seconds; at the end its last byte has left.
    """

    stage: Stage
    document: int
    items: int
    digest: str
    arrived: float
    ended: float = math.inf


class Server(CountingChild):
    """The running child.

    Parameters
    ----------
    ttft_s : seconds to an answer's first token. tokens_per_s : of each answer. pace : times all other delays.
    """

    def __init__(self, ttft_s: float, tokens_per_s: float, pace: float = 1.0) -> None:
        super().__init__("benchmarks.ancestry_server", ttft_s, tokens_per_s, pace)

    def events(self) -> list[Event]:
        """What came since the last reset, in that order."""
        return [Event(*fields) for fields in self._get("/events")]


class ScriptedServer(LoopbackServer):
    """What runs in the child."""

    def __init__(self, ttft_s: float, tokens_per_s: float, pace: float) -> None:
        super().__init__(answer=answer, keep_bodies=False, ttft_s=ttft_s, tokens_per_s=tokens_per_s)
        self._pace = pace
        self._events: list[Event] = []

    def _get(self, path: str) -> web.Response:
        return (
            web.json_response([astuple(event) for event in self._events]) if path == "/events" else super()._get(path)
        )

    async def _post(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        if path == "/reset":
            self._events = []
            return await super()._post(request, path)
        now = asyncio.get_running_loop().time
        arrived, body = now(), cast(dict[str, Any], await request.json())
        asked, text = stage(body), user_text(body)
        event = Event(asked, document(text), items(text), digest(body), arrived)
        self._events.append(event)  # now: whoever has its answer may look at the log at once
        if asked == "verdict":
            await asyncio.sleep(self._pace * late_s(text))
        response = await super()._post(request, path)
        event.ended = now()
        return response


def stage(body: dict[str, Any]) -> Stage:
    """What is asked for."""
    properties = (asked_schema(body) or {}).get("properties", {})
    if not properties:
        return "text"
    return "list" if properties.keys() & {"parts", "rows"} else "verdict"


def document(text: str) -> int:
    """Whose text it is."""
    found = _TAG.search(text)
    return int(found[1]) if found else -1


def items(text: str) -> int:
    """Of how many items it speaks."""
    return len({found[2] for found in _TAG.finditer(text) if found[2]})


def digest(body: dict[str, Any]) -> str:
    """The same for the same question, however its answer is to come."""
    asked = {name: value for name, value in body.items() if name not in ("stream", "stream_options")}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def late_s(text: str) -> float:
    """How late a verdict is."""
    slow = SLOW_S if fraction(f"slow {text}") < SLOW_SHARE else 0.0
    return slow + SPREAD_S * fraction(f"late {text}")


def fraction(text: str) -> float:
    """A number from 0 to 1 that the text decides."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest()) / 2**32


def answer(body: dict[str, Any]) -> Answer:
    """By the rules above."""
    text = user_text(body)
    match stage(body):
        case "verdict":
            return _verdict(asked_choices(body), text)
        case "list":
            return json.dumps(_listed(asked_schema(body) or {}, text))
        case "text":
            return " ".join(
                [f"#{document(text)}", *(f"w{int(1000 * fraction(f'{n} {text}'))}" for n in range(1, WORDS))]
            )


def _verdict(choices: list[str] | None, text: str) -> Answer:
    if choices is None:
        return json.dumps({"score": round(fraction(text), 3)})
    chosen = choices[fraction(text) > YES_SHARE]
    return {choice: -0.1 if choice == chosen else -3.0 for choice in choices}


def _listed(schema: dict[str, Any], text: str) -> dict[str, Any]:
    if "parts" in schema["properties"]:
        return {"parts": [sentence.strip() for sentence in _SENTENCE.findall(text.partition(": ")[2])]}
    (field,) = schema["properties"]["rows"]["items"]["properties"]
    asked = _STEPS.search(text)
    steps = int(asked[1]) if asked else 0
    return {"rows": [{field: f"#{document(text)}.{n} tries what"} for n in range(steps)]}


async def _serve(ttft_s: float, tokens_per_s: float, pace: float) -> None:
    async with ScriptedServer(ttft_s, tokens_per_s, pace) as server:
        print(server.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(*map(float, sys.argv[1:])))
