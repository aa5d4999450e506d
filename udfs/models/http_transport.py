"""JSON over HTTP with aiohttp, on the hot path: 0.2 ms of CPU a call where the ``openai`` client takes 3 ms and more.

A session is opened inside the running loop at the first call, keeps as many connections alive as there may be calls in
flight, and is closed by :meth:`HttpTransport.close`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ...engine.errors import ModelError, ModelUnavailable
from .backend import public_address
from .http_errors import (
    Endpoint,
    Refusal,
    broke_off,
    missing_key,
    read_refusal,
    redact,
    timed_out,
    unreachable,
    unread_secret,
)
from .http_sockets import patient_socket
from .http_stream import GaveUp, Sink, Unreadable, pour, streamed
from .sending import not_sent, sent

if TYPE_CHECKING:
    import aiohttp

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
Headers = Callable[[], Awaitable[Mapping[str, str]]]


class Refused(Exception):  # noqa: N818 (internal: it becomes one of ours, or a second attempt without what was refused)
    """The server answered with an HTTP error."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


async def no_headers() -> Mapping[str, str]:
    """The null object for extra headers."""
    return {}


class HttpTransport:
    """Requests to one endpoint.

    Parameters
    ----------
    where : the endpoint.
    timeout_s : seconds for one whole request.
    connections : most connections.
    extra_headers : asked once, before the first request; must not hold the key of ``where.api_key_env``.
    """

    def __init__(
        self, where: Endpoint, *, timeout_s: float, connections: int, extra_headers: Headers = no_headers
    ) -> None:
        self.where = where
        self._endpoint = public_address(where.base_url)
        self._timeout_s = timeout_s
        self._connections = connections
        self._extra_headers = extra_headers
        self.reached = False
        self._session: aiohttp.ClientSession | None = None
        self._opening: asyncio.Lock | None = None
        self._proxy = _proxy(where.base_url)
        # llama.cpp's server closes a connection after a stream, but says that it keeps it; the next request on it would be
        # lost. A new connection costs next to nothing without TLS, and servers with TLS are others.
        self._streaming = {"Connection": "close"} if urlsplit(where.base_url).scheme == "http" else None
        self._key = ""  # as it was sent, to strike it out of what the server says

    async def post(self, path: str, body: Mapping[str, Any], sink: Sink | None = None) -> dict[str, Any]:
        """POST JSON to a path below the base address, or to a whole address, and return the JSON object answered.

        Parameters
        ----------
        sink : takes the answer as it comes, and makes the object; but not if the server answers all at once.

        Raises
        ------
        Refused : an HTTP error. ModelTimeout, ModelUnavailable : no (readable) answer.
        """
        status, headers, raw = await self._exchange(path, body, sink)
        if status >= 300:
            raise Refused(read_refusal(status, headers, raw or b"", self._key))
        if raw is not None or sink is None:
            return self._object(raw or b"")
        if not sink.whole:
            raise broke_off(self.where)
        return sink.reply()

    async def _exchange(
        self, path: str, body: Mapping[str, Any], sink: Sink | None
    ) -> tuple[int, Mapping[str, str], bytes | None]:
        session = self._session or await self._open()
        # aiohttp's errors hold the request's headers, key included: ours is raised outside, without that context.
        failure: ModelError
        sent(self._endpoint)
        try:
            async with self._post(session, path, body, self._streaming if sink is not None else None) as response:
                self.reached = True
                if sink is not None and streamed(response):
                    await pour(response, sink)
                    return response.status, response.headers, None
                return response.status, response.headers, await response.read()
        except GaveUp as error:
            return error.status, {}, error.body
        except Unreadable as error:
            failure = self._unreadable(error.raw)
        except Exception as error:
            self.reached, failure = False, self._failure(error)
        raise failure

    def _post(
        self, session: aiohttp.ClientSession, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None
    ) -> Any:
        # A redirect of a POST loses its body or carries the key elsewhere: it is reported, not followed.
        url = path if "://" in path else self.where.base_url + path
        return session.post(url, data=_encode(body), headers=headers, proxy=self._proxy, allow_redirects=False)

    async def close(self) -> None:
        """Close the connections; idempotent, and a later call opens new ones."""
        session, self._session, self._opening = self._session, None, None
        if session is not None:
            await session.close()

    def _object(self, raw: bytes) -> dict[str, Any]:
        try:
            value = json.loads(raw)
        except ValueError:
            value = None
        if isinstance(value, dict):
            return value
        raise self._unreadable(raw)

    def _unreadable(self, raw: bytes) -> ModelError:
        shown = redact(raw[:80].decode("utf-8", "replace"), self._key)
        where = self.where
        return ModelUnavailable(
            f"Model {where.name}: {where.base_url} answered something that is not JSON: {shown!r}", where.name
        )

    def _failure(self, error: Exception) -> ModelError:
        import aiohttp

        if isinstance(error, aiohttp.ClientConnectorError):
            not_sent()
        if isinstance(error, TimeoutError):
            return timed_out(self.where, self._timeout_s)
        if isinstance(error, (aiohttp.ClientError, OSError)):
            return unreachable(self.where, _reason(error))
        raise error

    async def _open(self) -> aiohttp.ClientSession:
        self._opening = self._opening or asyncio.Lock()
        async with self._opening:
            if self._session is None:
                headers = {
                    "Content-Type": "application/json",
                    **await self._extra_headers(),
                    **await self._authorization(),
                }
                self._session = self._new_session(headers)
            return self._session

    async def _authorization(self) -> Mapping[str, str]:
        try:
            self._key = await asyncio.to_thread(self.where.key.read)
        except LookupError as error:
            raise unread_secret(self.where, str(error.args[0])) from None
        if self._key:
            return {"Authorization": f"Bearer {self._key}"}
        if urlsplit(self.where.base_url).hostname in _LOOPBACK:
            return {}
        raise missing_key(self.where)

    def _new_session(self, headers: Mapping[str, str]) -> aiohttp.ClientSession:
        import aiohttp

        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections, ttl_dns_cache=300, keepalive_timeout=60, socket_factory=patient_socket
            ),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=None),
            headers=headers,
        )


def on_this_machine(base_url: str) -> bool:
    """Whether the address is this machine's own.

    >>> on_this_machine("http://127.0.0.1:8000/v1"), on_this_machine("https://example.org/v1")
    (True, False)
    """
    return urlsplit(base_url).hostname in _LOOPBACK


def _encode(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _proxy(base_url: str) -> str | None:
    """The proxy that the environment names for this address, looked up once (aiohttp would do it per request)."""
    parts = urlsplit(base_url)
    if not parts.hostname or parts.hostname in _LOOPBACK or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)


def _reason(error: Exception) -> str:
    import aiohttp

    match error:
        case aiohttp.ClientConnectorDNSError():
            return "the host name is unknown"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return "TLS failed"
        case aiohttp.ClientConnectorError(os_error=OSError(strerror=str(words))):
            return words.lower()
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | ConnectionResetError():
            return "the connection was dropped"
        case _:
            return type(error).__name__
