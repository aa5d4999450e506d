"""The recipes of CONTRIBUTING.md work: each file is written to its place in a copy of the package, and its query runs there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pages import ROOT, Block, blocks, page
from tests.support.shop import make_shop

TEXT = page("CONTRIBUTING.md")
FILES = blocks(TEXT, "python")
QUERIES = [block.text for block in blocks(TEXT, "sql")]
RECIPES = ["function", "rule", "backend"]
RUN = """
import json, sys
import anserdb
con = anserdb.connect(sys.argv[1], store=":memory:", llm_model="scripted", llm_embedding_model="scripted")
statements = con.statements(sys.argv[2])
for statement in statements[:-1]:
    con.sql(statement)
rows = con.sql(statements[-1]).fetchall()
print(json.dumps({"rows": rows, "usage": con.usage().to_pylist(), "plan": con.explain(statements[-1])}))
con.close()
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder from which the package is imported, with nothing of a recipe in it yet."""
    target = tmp_path / "code"
    ignore = shutil.ignore_patterns("__pycache__", "engine", "udfs", "optimizer")
    shutil.copytree(ROOT / "anserdb", target / "anserdb", ignore=ignore)
    for folder in ("engine", "udfs", "optimizer"):
        shutil.copytree(ROOT / folder, target / "anserdb" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def write(block: Block, code: Path) -> Path:
    """Put a recipe's file where the page says."""
    inside = block.file.partition("/")[0] in ("udfs", "optimizer", "engine")
    path = code / "anserdb" / block.file if inside else code / block.file
    assert not path.exists()
    path.write_text(block.text, encoding="utf-8")
    return path


def run(query: str, code: Path) -> dict[str, list[object]]:
    """The query's rows and plan, from a fresh interpreter that imports the copy."""
    environment = {**os.environ, "PYTHONPATH": str(code), "ANSER_HOME": str(code / "home")}
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(make_shop(code / "shop.duckdb")), query],
        env=environment,
        cwd=code,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_there_is_a_file_and_a_query_for_each_recipe() -> None:
    assert [block.file for block in FILES] == [
        "udfs/functions/llm_title.py",
        "optimizer/rules/drop_true.py",
        "anserdb_echo.py",
    ]
    assert len(QUERIES) == len(RECIPES)


@pytest.mark.parametrize("block", FILES, ids=RECIPES)
def test_the_code_is_as_clean_as_ours(block: Block, tmp_path: Path) -> None:
    file = tmp_path / Path(block.file).name
    file.write_text(block.text, encoding="utf-8")
    for order in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *order, "--config", str(ROOT / "pyproject.toml"), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_add_a_function(copy: Path) -> None:
    write(FILES[0], copy)
    answer = run(QUERIES[0], copy)
    assert len(answer["rows"]) == 3
    assert [row["function"] for row in answer["usage"]] == ["LLM_TITLE"]  # type: ignore[call-overload]


def test_add_a_rule(copy: Path) -> None:
    before = run(QUERIES[1], copy)
    write(FILES[1], copy)
    pipeline = copy / "anserdb" / "optimizer" / "pipeline.py"
    source = pipeline.read_text(encoding="utf-8")
    pipeline.write_text(source.replace('"distinct_gather",', '"distinct_gather", "drop_true",'), encoding="utf-8")
    (copy / "shop.duckdb").unlink()
    after = run(QUERIES[1], copy)
    assert "drop_true" not in before["plan"]
    assert "drop_true" in after["plan"]
    assert before["rows"] == after["rows"] != []


def test_add_a_backend(copy: Path) -> None:
    write(FILES[2], copy)
    entry_points = TEXT.split("```toml\n")[1].split("```")[0]
    declared = entry_points.replace('[project.entry-points."anserdb.models"]', "[anserdb.models]").replace('"', "")
    information = copy / "anserdb_echo-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: anserdb-echo\nVersion: 1.0\n", encoding="utf-8")
    (information / "entry_points.txt").write_text(declared, encoding="utf-8")
    answer = run(QUERIES[2], copy)
    assert len(answer["rows"]) == 3
    assert all(0 < len(str(row[0])) <= 20 for row in answer["rows"])  # type: ignore[index]
