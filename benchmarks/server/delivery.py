"""Answers over HTTP, whole or streamed, and the ways in which their transfer goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from .desk import Refused, Served
from .endpoint import pause
from .streaming import DONE, Stopwatch, encode, events, frame

LORIS_S = 0.05
"""Seconds between two bytes of a slow loris."""
_JSON = "application/json"
_SSE = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}


async def deliver(request: web.BaseRequest, body: dict[str, Any], served: Served) -> web.StreamResponse:
    """The answer, or what its fault makes of it."""
    match served.fault.what if served.fault else None:
        case "garbage":
            return web.Response(body=b"<html>proxy says hello</html>", content_type="text/html")
        case "slow_loris":
            return await _dribbled(request, body, served)
        case "truncated_body":
            return await _reset_half_way(request, body, served)
        case "truncated_sse":
            return await _ended_half_way(request, body, served)
    if body.get("stream"):
        return await _streamed(request, body, served)
    await pause(served.pace.token_s * served.tokens.tokens_out)
    served.answered()
    return web.Response(body=encode(served.reply), content_type=_JSON)


def refusal(refused: Refused, heard: Mapping[str, str]) -> web.Response:
    """An error in OpenAI's shape. Servers echo keys: a message may quote the header for a test that looks for it."""
    message = refused.message.replace("{authorization}", heard.get("Authorization", ""))
    error = {
        "message": message,
        "type": "simulated_error",
        "param": refused.param or None,
        "code": refused.code or None,
    }
    return web.Response(
        status=refused.status, body=encode({"error": error}), content_type=_JSON, headers=refused.headers
    )


def reset(request: web.BaseRequest) -> None:
    """Break the connection."""
    if request.transport is not None:
        request.transport.abort()


async def _streamed(request: web.BaseRequest, body: dict[str, Any], served: Served) -> web.StreamResponse:
    response = await _begun(request, _SSE)
    watch = Stopwatch(served.pace.token_s)
    for tokens, event in events(served.kind, body, served.reply):
        await watch.until(tokens)
        await response.write(frame(event))
    served.answered()
    await response.write(DONE)
    await response.write_eof()
    return response


def _payload(body: dict[str, Any], served: Served) -> tuple[list[bytes], dict[str, str]]:
    """All bytes of the answer, in the parts in which they would leave, and their headers."""
    if body.get("stream"):
        return [*(frame(event) for _, event in events(served.kind, body, served.reply)), DONE], dict(_SSE)
    raw = encode(served.reply)
    half = len(raw) // 2
    return [raw[:half], raw[half:]], {"Content-Type": _JSON, "Content-Length": str(len(raw))}


async def _dribbled(request: web.BaseRequest, body: dict[str, Any], served: Served) -> web.StreamResponse:
    parts, headers = _payload(body, served)
    response = await _begun(request, headers)
    raw = b"".join(parts)
    for at in range(len(raw)):
        await pause(LORIS_S)
        if at == len(raw) - 1:
            served.answered()
        await response.write(raw[at : at + 1])
    await response.write_eof()
    return response


async def _reset_half_way(request: web.BaseRequest, body: dict[str, Any], served: Served) -> web.StreamResponse:
    parts, headers = _payload(body, served)
    response = await _begun(request, headers)
    await _written(response, parts, served)
    reset(request)
    return response


async def _ended_half_way(request: web.BaseRequest, body: dict[str, Any], served: Served) -> web.StreamResponse:
    parts, headers = _payload(body, served)
    headers.pop("Content-Length", None)
    response = await _begun(request, headers)
    await _written(response, parts, served)
    await response.write_eof()
    return response


async def _written(response: web.StreamResponse, parts: list[bytes], served: Served) -> None:
    """The first half of the parts, at the answer's pace."""
    watch = Stopwatch(served.pace.token_s)
    for number, part in enumerate(parts[: max(1, len(parts) // 2)]):
        await watch.until(number)
        await response.write(part)


async def _begun(request: web.BaseRequest, headers: Mapping[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(headers=dict(headers))
    await response.prepare(request)
    return response
