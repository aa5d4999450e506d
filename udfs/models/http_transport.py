"""JSON over HTTP with aiohttp, on the hot path: 0.2 ms of CPU a call where the ``openai`` client takes 3 ms and more.

A session is opened inside the running loop at the first call, keeps as many connections alive as there may be calls in
flight, and is closed by :meth:`HttpTransport.close`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ...engine.errors import ModelError, ModelUnavailable
from .http_errors import Endpoint, Refusal, missing_key, read_refusal, redact, timed_out, unreachable, unread_secret
from .sending import not_sent, sent

if TYPE_CHECKING:
    import aiohttp

CONNECT_TIMEOUT_S = 60.0  # a starved loop must not look like a dead server
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
        self._timeout_s = timeout_s
        self._connections = connections
        self._extra_headers = extra_headers
        self._session: aiohttp.ClientSession | None = None
        self._opening: asyncio.Lock | None = None
        self._proxy = _proxy(where.base_url)
        self._key = ""  # as it was sent, to strike it out of what the server says

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST JSON to a path below the base address, or to a whole address, and return the JSON object answered.

        Raises
        ------
        Refused : an HTTP error. ModelTimeout, ModelUnavailable : no (readable) answer.
        """
        status, headers, raw = await self._exchange(path, body)
        if status >= 300:
            raise Refused(read_refusal(status, headers, raw, self._key))
        return self._object(raw)

    async def _exchange(self, path: str, body: Mapping[str, Any]) -> tuple[int, Mapping[str, str], bytes]:
        session = self._session or await self._open()
        # aiohttp's errors hold the request's headers, key included: ours is raised outside, without that context.
        failure: ModelError
        sent()
        try:
            async with self._post(session, path, body) as response:
                return response.status, response.headers, await response.read()
        except Exception as error:
            failure = self._failure(error)
        raise failure

    async def lines(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[str]:
        """POST JSON and yield the answer's lines as they come (server-sent events)."""
        session = self._session or await self._open()
        failure: ModelError | None = None
        sent()
        try:
            async with self._post(session, path, body) as response:
                if response.status >= 300:
                    raw = await response.read()
                    raise Refused(read_refusal(response.status, response.headers, raw, self._key))
                async for line in response.content:
                    yield line.decode("utf-8", "replace").rstrip("\r\n")
        except Refused:
            raise
        except Exception as error:
            failure = self._failure(error)
        if failure:
            raise failure

    def _post(self, session: aiohttp.ClientSession, path: str, body: Mapping[str, Any]) -> Any:
        # A redirect of a POST loses its body or carries the key elsewhere: it is reported, not followed.
        url = path if "://" in path else self.where.base_url + path
        return session.post(url, data=_encode(body), proxy=self._proxy, allow_redirects=False)

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
        shown = redact(raw[:80].decode("utf-8", "replace"), self._key)
        where = self.where
        raise ModelUnavailable(
            f"Model {where.name}: {where.base_url} answered something that is not JSON: {shown!r}", where.name
        )

    def _failure(self, error: Exception) -> ModelError:
        import aiohttp

        if isinstance(error, (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError)):
            not_sent()
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return unreachable(self.where, f"no connection within {CONNECT_TIMEOUT_S:g} s")
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
            connector=aiohttp.TCPConnector(limit=self._connections, ttl_dns_cache=300, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=CONNECT_TIMEOUT_S),
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
