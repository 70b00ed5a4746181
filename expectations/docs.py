"""Data Docs: the outcome of the gate as static pages that need no network.

What belongs here: rendering. The sections are those of Great Expectations; the frame around them,
the index and the style are this project's (``pages/``), because the ones Great Expectations
brings load fifteen files from elsewhere and show nothing useful without them. What does not: any
judgement.
"""

from __future__ import annotations

import shutil
from copy import deepcopy
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from expectations.adapter import Evaluation, great_expectations, plain
from expectations.report import GateReport

PAGES = Path(__file__).resolve().parent / "pages"
STYLE = "style.css"


def begin_docs(folder: Path) -> None:
    """Prepare the folder: made when absent, pages of earlier runs removed, the style in place."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.html"):
        stale.unlink()
    shutil.copyfile(PAGES / STYLE, folder / STYLE)


def write_page(evaluation: Evaluation, folder: Path) -> None:
    """Write the page of each mart that was evaluated."""
    template = _view().env.get_template("offline_mart.j2")
    engine = evaluation.report.engine
    for mart, outcomes in evaluation.report.by_mart().items():
        document = _sections(mart, evaluation.results.get(mart, ()))
        page = template.render(document, mart=mart, outcomes=outcomes, engine=engine)
        (folder / f"{mart}.html").write_text(page, encoding="utf-8")


def write_index(report: GateReport, folder: Path) -> None:
    """Write ``index.html``, which leads to the page of each mart."""
    # Needs no part of Great Expectations, which the process that writes it may not have loaded.
    environment = Environment(loader=FileSystemLoader(PAGES), autoescape=True)
    page = environment.get_template("offline_index.j2").render(report=report, lines=report.summary_lines())
    (folder / "index.html").write_text(page, encoding="utf-8")


@cache
def _view() -> Any:
    """The page renderer of Great Expectations, with this project's templates."""
    great_expectations()
    from great_expectations.render.view.view import DefaultJinjaPageView

    return DefaultJinjaPageView(custom_views_directory=str(PAGES))


def _sections(mart: str, results: tuple[Any, ...]) -> dict[str, Any]:
    """Let Great Expectations lay out the results of one mart, without its header and run information."""
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer

    if not results:
        return {"sections": []}
    shown = []
    for result in results:
        copy = deepcopy(result)
        copy.result = _escaped(plain(dict(result.result)))  # its tables print values as they are
        shown.append(copy)
    good = sum(bool(result.success) for result in shown)
    statistics = {
        "evaluated_expectations": len(shown),
        "successful_expectations": good,
        "unsuccessful_expectations": len(shown) - good,
        "success_percent": 100 * good / len(shown),
    }
    suite = ExpectationSuiteValidationResult(
        success=good == len(shown), results=shown, suite_name=mart, statistics=statistics, meta={}
    )
    document: dict[str, Any] = ValidationResultsPageRenderer(run_info_at_end=True).render(suite).to_json_dict()
    document["sections"] = [s for s in document["sections"] if s.get("section_name") not in ("Overview", "Run Info")]
    return document


def _escaped(value: Any) -> Any:
    """Text from the data, made safe to stand in a page."""
    if isinstance(value, dict):
        return {name: _escaped(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_escaped(entry) for entry in value]
    return escape(value) if isinstance(value, str) else value
