"""ARCHITECTURE.md and the decisions name what exists, and leave no package folder out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.pages import ROOT, local_links, page

PAGES = [
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/adr/{p.name}" for p in (ROOT / "docs" / "adr").glob("*.md")),
]
TOPS = "anserdb|engine|udfs|optimizer|tests|benchmarks|sql_examples|docs"
_PATH = re.compile(rf"`((?:{TOPS})(?:/[\w.-]+)*/?)`")
_NAME = re.compile(r"`([A-Z]\w+(?:\.\w+)*|[a-z]\w*_\w+)` \(`([\w/]+\.py)`\)")
MADE_BY_A_READER = {
    "udfs/functions/llm_title.py",
    "optimizer/rules/drop_true.py",
    "tests/unit/test_llm_title.py",
    "tests/plans/drop_true.slt",
}


@pytest.mark.parametrize("name", PAGES)
def test_every_path_exists(name: str) -> None:
    paths = set(_PATH.findall(page(name))) - MADE_BY_A_READER
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    folder = (ROOT / name).parent
    assert [link for link in local_links(page(name)) if not (folder / link).exists()] == []


def test_names_stand_in_the_files_they_are_said_to_be_in() -> None:
    """``Name.method`` (`path`): the file defines the last part."""
    text = page("ARCHITECTURE.md").replace("\n", " ").replace("  ", " ")
    pairs = _NAME.findall(text)
    assert len(pairs) > 8
    wrong = []
    for name, path in pairs:
        source = (ROOT / path).read_text(encoding="utf-8")
        last = name.rpartition(".")[2]
        if not re.search(rf"^\s*(?:async )?(?:def|class) {last}\b", source, re.MULTILINE):
            wrong.append((name, path))
    assert wrong == []


def test_every_package_folder_is_mentioned() -> None:
    text = page("ARCHITECTURE.md")
    folders = {
        p.parent.relative_to(ROOT) for top in ("engine", "udfs", "optimizer") for p in (ROOT / top).rglob("__init__.py")
    }
    assert [str(folder) for folder in sorted(folders) if f"**`{folder}/`**" not in text] == []


def test_the_picture_of_layers_is_the_contract() -> None:
    contract = re.findall(
        r'"anserdb\.([\w.]+)', page("pyproject.toml").split('name = "Layers go downward"')[1].split("]\n")[0]
    )
    picture = page("ARCHITECTURE.md").split("```")[1]
    order = [picture.index(layer) for layer in contract[:-1]]
    assert order == sorted(order)
    assert len(contract) > 10


def test_decisions_are_listed_once() -> None:
    files = sorted(p.name for p in Path(ROOT / "docs" / "adr").glob("0*.md"))
    assert local_links(page("docs/adr/README.md")) == files
    for number, name in enumerate(files, 1):
        assert name.startswith(f"{number:04}-")
        assert page(f"docs/adr/{name}").startswith(f"# {number:04} ")
