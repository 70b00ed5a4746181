"""Pages and notebook on the ways in run as they stand: questions in SQL, Python in a notebook, DuckDB over HTTP."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import oretrace as published_warehouse
from ingest.home import PROJECT
from tests.integration.test_serve import LOAD, serving
from tests.pipeline.test_mart_pages import WRITE, answer, examples, plain, rewritten

pytestmark = pytest.mark.xdist_group("pipeline")

Run = tuple[Path, subprocess.CompletedProcess[str]]
QUESTIONS, CONNECT = PROJECT / "docs" / "questions.md", PROJECT / "docs" / "connect.md"
NOTEBOOKS = sorted((PROJECT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture
def published(first_run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORETRACE_HOME", str(first_run[0]))
    return first_run[0]


def test_every_question_is_answered_by_what_the_page_shows(published: Path) -> None:
    if WRITE:
        QUESTIONS.write_text(rewritten(QUESTIONS.read_text()))
    found = examples(QUESTIONS)
    assert len(found) == QUESTIONS.read_text().count("\n## ") == QUESTIONS.read_text().count("```sql") > 4
    for sql, text in found:
        assert plain(text) == answer(sql), sql
        assert len(plain(text)) > 1, f"no rows: {sql}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_runs_and_shows_what_the_marts_hold(published: Path, path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code), "outputs are not kept in the file"
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(PROJECT)}}).execute()
    answers = ["".join(str(out.get("data", {}).get("text/plain", "")) for out in cell.outputs) for cell in code][1:]
    assert all("shape: (" in text for text in answers)
    exposure = published_warehouse.table("mart_supplier_exposure")
    china = exposure.filter(importer="DEU", material="rare_earths", stage="component", year=2024, country="CHN")
    share = china.select((100 * pl.col("processed_in_share")).round(0)).item()
    line = next(line for line in answers[0].splitlines() if "China" in line)
    assert str(share) in line


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def test_the_way_over_http_works_as_the_page_says(published: Path) -> None:
    pytest.importorskip("duckdb_extension_httpfs", reason="the wheel of DuckDB's HTTP extension is not installed")
    over_http = blocks(CONNECT)[0]
    assert 'db.sql("load httpfs")' in over_http
    with serving(published) as server:
        code = over_http.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}").replace("db = duckdb.connect()\n", "")
        code = LOAD + re.sub(r'^db\.sql\("load httpfs"\).*\n', "", code, flags=re.MULTILINE)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    claims = published_warehouse.table("mart_claims")
    verdicts = sorted(claims["verdict"].value_counts().rows())
    assert done.stdout.splitlines() == [str(verdicts), str((claims.height,))]


def test_the_way_from_disk_works_as_the_page_says(published: Path, tmp_path: Path) -> None:
    (tmp_path / "var").symlink_to(published)
    done = subprocess.run(
        [sys.executable, "-c", blocks(CONNECT)[1]], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ}, timeout=120,
    )  # fmt: skip
    count = published_warehouse.table("mart_claims").height
    assert done.stdout.split() == [str(count), f"({count},)"], done.stderr


def test_the_notebook_files_are_as_the_editor_writes_them() -> None:
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        assert path.read_text() == json.dumps(json.loads(path.read_text()), indent=1, ensure_ascii=False) + "\n"
