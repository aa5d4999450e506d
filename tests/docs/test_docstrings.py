"""The examples in docstrings run, in every module that has one."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("engine", "udfs", "optimizer")


def modules() -> list[str]:
    """Modules whose source shows an example."""
    files = [ROOT / "anserdb" / "__init__.py", *(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py"))]
    named = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files}
    shown = [name for path, name in named.items() if ">>> " in path.read_text(encoding="utf-8")]
    return sorted(name if name.startswith("anserdb") else f"anserdb.{name}" for name in shown)


MODULES = [name.removesuffix(".__init__") for name in modules()]


def test_examples_are_found() -> None:
    assert len(MODULES) > 30
    assert {"anserdb", "anserdb.udfs.models.base", "anserdb.engine.interfaces.shell.table"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSER_HOME", str(tmp_path))
    result = doctest.testmod(
        importlib.import_module(name),
        optionflags=doctest.ELLIPSIS,
    )
    assert result.attempted > 0
    assert result.failed == 0
