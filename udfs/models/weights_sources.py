"""Fetching bytes for :mod:`.weights`: resumable HTTP transfers, with the standard library's ``urllib`` alone.

Proxies come from the environment, certificates from the system and from what pip was told.
"""

from __future__ import annotations

import base64
import http.client
import os
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from .weights_pip import pip_setting

CONNECT_S = 3.0
READ_S = 60.0
ATTEMPTS = 4
CHUNK = 1 << 20
Advance = Callable[[int], None]


class SourceError(Exception):
    """A source cannot give the file; the text says why, without credentials."""


@dataclass(frozen=True, slots=True)
class Address:
    """A URL, with the credentials that its user part held moved into a header."""

    url: str
    authorization: str = ""

    @classmethod
    def parse(cls, url: str) -> Address:
        """Split credentials off.

        >>> Address.parse("https://user:pw@host/simple").url
        'https://host/simple'
        """
        parts = urlsplit(url)
        if "@" not in parts.netloc:
            return cls(url)
        user, _, host = parts.netloc.rpartition("@")
        token = base64.b64encode(unquote(user).encode()).decode()
        return cls(urlunsplit(parts._replace(netloc=host)), f"Basic {token}")

    def join(self, reference: str) -> Address:
        """A link found at this address; it keeps the credentials on the same host only."""
        target = Address.parse(urljoin(self.url, reference))
        same = urlsplit(target.url).netloc == urlsplit(self.url).netloc
        return Address(target.url, target.authorization or (self.authorization if same else ""))


def open_url(address: Address, headers: dict[str, str] | None = None, connect_s: float = CONNECT_S) -> Any:
    """The open response. Name look-up and connection together may take ``connect_s`` seconds.

    A socket's own timeout counts per address and leaves the look-up out, hence the thread.
    """
    # Before the clock starts: asking pip for its certificates may take a second.
    trust = _trust() if address.url.startswith("https:") else None
    outcome: list[Any] = []
    finished = threading.Event()
    late = threading.Event()

    def connect() -> None:
        try:
            outcome.append(_open(address, headers or {}, trust))
        except Exception as error:
            outcome.append(error)
        finished.set()
        if late.is_set():
            _close(outcome[0])

    threading.Thread(target=connect, name="anser-connect", daemon=True).start()
    if not finished.wait(connect_s):
        late.set()
        if (
            finished.is_set()
        ):  # it finished between the two lines: whoever comes second closes, closing twice is harmless
            _close(outcome[0])
        raise SourceError(f"{host_of(address)} did not answer within {connect_s:g} s")
    if isinstance(outcome[0], Exception):
        raise _readable(address, outcome[0]) from None
    return outcome[0]


def _open(address: Address, headers: dict[str, str], trust: ssl.SSLContext | None) -> Any:
    headers = {"User-Agent": "anserdb", **headers}
    request = urllib.request.Request(address.url, headers=headers)
    if address.authorization:
        request.add_unredirected_header("Authorization", address.authorization)
    return urllib.request.urlopen(request, timeout=READ_S, context=trust)


def _close(response: Any) -> None:
    if hasattr(response, "close"):
        response.close()


def host_of(address: Address) -> str:
    """The host name, for messages."""
    return urlsplit(address.url).hostname or address.url


def _readable(address: Address, error: Exception) -> Exception:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return HttpStatusError(f"{host_of(address)} answered HTTP {error.code}", error.code)
    if isinstance(error, OSError):
        return SourceError(f"{host_of(address)} cannot be reached ({getattr(error, 'reason', error)})")
    return error


class HttpStatusError(SourceError):
    """The server answered with an error status, kept in ``code``."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    """The system's certificates (OpenSSL reads SSL_CERT_FILE itself) and those that pip or requests were told of."""
    context = ssl.create_default_context()
    for path in (os.environ.get("PIP_CERT") or pip_setting("cert"), os.environ.get("REQUESTS_CA_BUNDLE")):
        if path and Path(path).is_file():
            context.load_verify_locations(cafile=path)
    return context


def fetch(address: Address, target: Path, size: int, advance: Advance) -> None:
    """Bring ``target`` to ``size`` bytes, going on from what it already holds.

    Parameters
    ----------
    advance : called with the bytes that ``target`` holds, from time to time.

    Raises
    ------
    SourceError : after a few attempts without the whole file; what arrived stays in ``target``.
    """
    failure = SourceError("")
    for _ in range(ATTEMPTS):
        have = length(target)
        if have > size:
            target.unlink()
            have = 0
        advance(have)
        if have == size:
            return
        try:
            _transfer(address, target, have, size, advance)
        except HttpStatusError as error:
            if error.code < 500 and error.code not in (408, 416, 429):
                raise
            failure = error
        except SourceError as error:
            failure = error
        if failure.args[0] and length(target) == have:
            break
    if length(target) != size:
        raise failure if failure.args[0] else SourceError(f"{host_of(address)} sent {length(target)} of {size} bytes")


def _transfer(address: Address, target: Path, have: int, size: int, advance: Advance) -> None:
    headers = {"Range": f"bytes={have}-"} if have else {}
    with open_url(address, headers) as response:
        resumed = response.status == 206
        total = _announced(response, have if resumed else 0)
        if total is not None and total != size:
            raise SourceError(f"{host_of(address)} offers {total} bytes where the file has {size}")
        with target.open("ab" if resumed else "wb") as out:
            _copy(response, out, have if resumed else 0, size, advance)


def _announced(response: Any, have: int) -> int | None:
    length = response.headers.get("Content-Length")
    return have + int(length) if length and length.isdigit() else None


def _copy(response: Any, out: IO[bytes], done: int, size: int, advance: Advance) -> None:
    try:
        while chunk := response.read(CHUNK):
            out.write(chunk)
            done += len(chunk)
            if done > size:
                raise SourceError(f"the server sends more than the {size} bytes of the file")
            advance(done)
    except (TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException) as error:
        raise SourceError(f"the transfer broke off after {done} bytes ({error})") from None


def length(path: Path) -> int:
    """Bytes in a file; 0 when there is none."""
    return path.stat().st_size if path.exists() else 0
