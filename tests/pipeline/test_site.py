"""The site of a release in a real browser, from disk and from ``oretrace serve``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from axe_playwright_python.sync_playwright import Axe
from polars.testing import assert_frame_equal

from tests.browser import CHROMIUM, chromium, settle, visit
from tests.integration.test_serve import serving
from tests.pipeline.conftest import oretrace

pytestmark = [
    pytest.mark.xdist_group("pipeline"),
    pytest.mark.skipif(not CHROMIUM.is_file(), reason=f"needs Debian's chromium ({CHROMIUM})"),
]

KINDS = [
    "index.html",
    "materials.html",
    "material/rare_earths.html",
    "material/gallium.html",
    "countries.html",
    "country/CHN.html",
    "criticality.html",
    "stockpile.html",
    "scenarios.html",
    "claims.html",
    "changes.html",
    "method.html",
    "data.html",
    "sources.html",
    "audit/index.html",
    "audit/mart_claims.html",
]
# One figure per kind of page, the largest or first of the mart, which stands in a row of the page.
FIGURES = {
    "materials.html": "select name, basis from dim_material where material = 'gallium'",
    "material/rare_earths.html": """
        select s.name, printf('China %.0f', 100 * share) from mart_stage_output join dim_stage s using (stage)
        where material = 'rare_earths' and stage = 'component' and source = 'published' and country = 'CHN'
        order by year desc limit 1""",
    "material/gallium.html": """
        select s.name, printf('China %.0f', 100 * top_share)
        from mart_stage_concentration join dim_stage s using (stage)
        where material = 'gallium' and stage = 'metal' and is_preferred order by year desc limit 1""",
    "countries.html": "select 'Germany', 'Platinum, metal: South Africa'",
    "country/CHN.html": """
        select m.name, printf('%.0f', 100 * share) from mart_stage_output join dim_material m using (material)
        where country = 'CHN' and material = 'gallium' and stage = 'metal' and source = 'usgs_mcs' and form = 'all'
        order by year desc limit 1""",
    "criticality.html": """
        select m.name, printf('%#.3g', sr_traced) from mart_criticality join dim_material m using (material)
        where economy = 'EUU' and mart_criticality.basis = 'network' and sr_traced is not null
        order by year desc, sr_traced desc limit 1""",
    "stockpile.html": """
        select m.name, printf('%#.3g', target_usable_days) from mart_stockpile_cover
        join dim_material m using (material)
        where holder = 'JPN' and material = 'rare_earths' and form = 'compound' order by year desc limit 1""",
    "scenarios.html": """
        select m.name, format('{:.0f}–{:.0f}', 100 * loss_low, 100 * loss_high) from mart_disruption
        join dim_material m using (material) where importer = 'USA' and scenario = 'n_minus_1_rare_earths_component'
        and stage = 'component'""",
    "claims.html": "select statement, verdict from mart_claims where verdict = 'differs' order by claim limit 1",
    "changes.html": "select 'mart_claims', format('{:,}', count(*)) from mart_claims",
    "audit/mart_claims.html": "select 'row_count_in_band', count(*)::varchar from mart_claims",
    "data.html": "select 'processed_in_share_p05', 'double'",
    "sources.html": "select source, citation from dim_vintage where source = 'baci'",
}
# Where the pictures go, to be looked at after a test run.
PICTURES = Path(os.environ.get("ORETRACE_PICTURES", "")) if os.environ.get("ORETRACE_PICTURES") else None


@pytest.fixture(scope="module")
def site(first_run: tuple[Path, Any]) -> Path:
    """The site that the release of the shared home brought."""
    return (first_run[0] / "warehouse" / "site").resolve()


@pytest.fixture(scope="module")
def marts(first_run: tuple[Path, Any]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published warehouse."""
    with duckdb.connect(str(first_run[0] / "warehouse" / "oretrace.duckdb"), read_only=True) as db:
        yield db


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for the module; every visit has a fresh profile."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def address(first_run: tuple[Path, Any]) -> Iterator[str]:
    """Where ``oretrace serve`` has the site of the shared home."""
    with serving(first_run[0]) as server:
        yield f"http://127.0.0.1:{server.port}/current/site"


@pytest.fixture(params=["disk", "serve"])
def place(request: pytest.FixtureRequest, site: Path, address: str) -> str:
    """Where a page is opened from: its file, or ``oretrace serve``."""
    return site.as_uri() if request.param == "disk" else address


@pytest.mark.parametrize("page", KINDS)
def test_a_page_from_disk_has_the_marts_figures_no_error_outside_request_or_barrier(
    browser: Any, site: Path, marts: Any, page: str
) -> None:
    with visit(browser, (site / page).as_uri()) as found:
        assert not found.troubles
        assert empty_charts(found.page) == []
        assert shows_its_figure(found.page, marts, page)
        assert serious_barriers(found.page) == []
        if PICTURES:
            found.page.screenshot(path=PICTURES / f"{page.replace('/', '-')}-1280.png", full_page=True)


@pytest.mark.parametrize("page", KINDS)
def test_a_page_served_has_the_marts_figures_and_fits_a_phone_in_the_dark_its_texts_apart(
    browser: Any, address: str, marts: Any, page: str
) -> None:
    with visit(browser, f"{address}/{page}", width=360, scheme="dark") as found:
        assert not found.troubles
        assert empty_charts(found.page) == []
        assert shows_its_figure(found.page, marts, page)
        assert found.page.evaluate("document.documentElement.scrollWidth") <= 360
        assert found.page.evaluate(TEXTS_THAT_COLLIDE) == []
        assert found.page.evaluate(CUT_WITHOUT_A_WORD) == []
        assert serious_barriers(found.page) == []
        if PICTURES:
            found.page.screenshot(path=PICTURES / f"{page.replace('/', '-')}-360.png", full_page=True)


def empty_charts(page: Any) -> list[str]:
    """Return the charts on show that hold no drawing."""
    shown = [figure for figure in page.query_selector_all("figure.chart") if figure.is_visible()]
    return [figure.get_attribute("data-chart") for figure in shown if not figure.query_selector_all("svg path")]


def shows_its_figure(page: Any, marts: Any, path: str) -> bool:
    """Say whether a row of the page holds the figure that ``FIGURES`` takes from the marts; pages without one do."""
    if path not in FIGURES:
        return True
    name, figure = marts.execute(FIGURES[path]).fetchone()
    rows = [" ".join(row.split()) for row in page.locator("tbody tr").all_text_contents()]
    return any(name in row and figure in row for row in rows)


def serious_barriers(page: Any) -> list[Any]:
    """Return what axe finds serious or critical on an open page."""
    violations = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        (item["id"], [node["html"][:160] for node in item["nodes"][:3]])
        for item in violations
        if item["impact"] in ("serious", "critical")
    ]


# Texts of one chart that overlap each other, or that leave its picture.
TEXTS_THAT_COLLIDE = """() => {
  const wrong = [];
  for (const svg of document.querySelectorAll("figure.chart svg")) {
    const frame = svg.getBoundingClientRect();
    const shown = (text) => text.textContent.trim() && text.getAttribute("opacity") !== "0";
    const texts = [...svg.querySelectorAll("text")].filter(shown).map((text) => [
      text.textContent, text.getBoundingClientRect()]).filter(([, box]) => box.width > 0);
    texts.forEach(([text, a], place) => {
      if (Math.max(frame.left - a.left, a.right - frame.right, frame.top - a.top, a.bottom - frame.bottom) > 1.5)
        wrong.push(`cut: ${text}`);
      for (const [other, b] of texts.slice(place + 1)) {
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 2 && down > 2) wrong.push(`overlap: ${text} / ${other}`);
      }
    });
  }
  return wrong;
}"""


# Tables that are wider than their place without saying so, or whose first column does not stay.
CUT_WITHOUT_A_WORD = """() => [...document.querySelectorAll(".scroll")]
  .filter((place) => place.checkVisibility() && place.scrollWidth > place.clientWidth + 2)
  .filter((place) => {
    const hint = place.previousElementSibling;
    const first = place.querySelector("tbody tr > :first-child:not([colspan])");
    return !hint || !hint.matches(".hint") || !hint.checkVisibility() || getComputedStyle(first).position !== "sticky"
      || getComputedStyle(place).maskImage === "none";
  }).map((place) => place.getAttribute("aria-label"))"""


def test_every_cell_of_the_heat_map_is_the_mart(browser: Any, place: str, marts: Any) -> None:
    with visit(browser, f"{place}/index.html#importer=JPN") as found:
        page = found.page
        page.wait_for_selector("#importer-part[data-importer=JPN]")
        stages = [cell.inner_text() for cell in page.query_selector_all(".heat thead th")][1:]
        shown, named = {}, set()
        lines = [line for line in page.query_selector_all(".heat tbody tr:not(.group)") if line.is_visible()]
        for line in lines:
            material = line.query_selector("th").inner_text()
            named.add(material)
            for stage, cell in zip(stages, line.query_selector_all("td"), strict=True):
                shown[material, stage] = " ".join(cell.inner_text().split())
    expected = marts.execute(
        """
        select m.name, s.name, d.top_processor, 100 * d.top_processor_share, 100 * d.top_processor_share_low,
            100 * d.top_processor_share_high, d.traced_evidence
        from mart_dependence_by_stage d join dim_material m using (material) join dim_stage s using (stage)
        where d.importer = 'JPN' and d.top_processor is not null
            and d.year = (select max(year) from mart_dependence_by_stage where top_processor is not null)
        """
    ).fetchall()
    assert len(expected) > 10
    for material, stage, country, share, low, high, evidence in expected:
        cell = shown.pop((material, stage))
        figures = [float(figure) for figure in re.findall(r"[\d.]+", cell)]
        assert cell.startswith(f"{country} ")
        assert figures[0] == pytest.approx(share, abs=0.55)
        assert figures[1:] == pytest.approx([low, high] if len(figures) > 2 else [low] * (len(figures) - 1), abs=0.55)
        assert cell.endswith(evidence[0].upper())
    assert all(re.fullmatch(r"– [a-z]+", cell) for cell in shown.values()), "a missing value is shown as missing"
    assert named == {row[0] for row in expected}, "materials that are seen through nowhere are folded"


def test_the_switch_shows_face_value_by_mouse_and_by_keyboard(browser: Any, place: str, marts: Any) -> None:
    face, traced = marts.execute(
        """
        select face_value_share, processed_in_share from mart_supplier_exposure
        where importer = 'USA' and material = 'rare_earths' and stage = 'component' and country = 'CHN' and year = 2024
        """
    ).fetchone()
    with visit(browser, f"{place}/index.html") as found:
        line = found.page.locator(".heat tbody tr", has=found.page.get_by_role("link", name="Rare earths", exact=True))
        assert f"CHN {100 * traced:.0f}" in line.inner_text()
        found.page.check("#by-face")
        assert f"CHN {100 * face:.0f}" in line.inner_text()
        assert f"CHN {100 * traced:.0f}" not in line.inner_text()
        found.page.focus("#by-face")
        found.page.keyboard.press("ArrowRight")
        assert f"CHN {100 * traced:.0f}" in line.inner_text()


def test_the_theme_switch_changes_page_and_charts_and_is_kept(browser: Any, address: str) -> None:
    with visit(browser, f"{address}/index.html") as found:
        page = found.page
        paper = "getComputedStyle(document.body).backgroundColor"
        ink = "getComputedStyle(document.querySelector('figure svg text')).fill"
        before = page.evaluate(f"[{paper}, {ink}]")
        page.focus("#theme")
        page.keyboard.press("Enter")
        page.wait_for_function(f"before => {ink} !== before", arg=before[1])
        assert page.evaluate(paper) != before[0]
        assert page.inner_text("#theme") == "Light theme", "in the dark it offers light"
        page.reload()
        settle(page)
        assert page.evaluate(paper) != before[0]
        assert not found.troubles


def test_the_importer_chooser_changes_figures_charts_and_address(browser: Any, address: str, marts: Any) -> None:
    with visit(browser, f"{address}/material/rare_earths.html") as found:
        page = found.page
        before = page.inner_html("[data-chart=flows] .plot")
        page.select_option("#importer", "JPN")
        page.wait_for_selector("#importer-part[data-importer=JPN]")
        assert page.url.endswith("#importer=JPN")
        page.wait_for_function(
            "before => document.querySelector('[data-chart=flows] .plot').innerHTML !== before", arg=before
        )
        row = page.locator("#importer-part tr", has_text="Component").inner_text()
        share, low, high = marts.execute(
            """
            select top_processor_share, top_processor_share_low, top_processor_share_high from mart_dependence_by_stage
            where importer = 'JPN' and material = 'rare_earths' and stage = 'component' and year = 2024
            """
        ).fetchone()
        assert f"{100 * share:.0f} ({100 * low:.0f}–{100 * high:.0f})" in row
        assert "Supply of Japan, 100 %" in page.locator("[data-chart=flows] svg").text_content()
        assert not found.troubles


def test_the_page_of_a_group_names_the_controls_on_its_members(browser: Any, site: Path, marts: Any) -> None:
    members = marts.execute(
        "select distinct m.name from dim_scenario join dim_material m using (material) "
        "where authority_no = 'MOFCOM/GAC 2025 No. 18' and material in ('dysprosium', 'terbium', 'samarium')"
    ).fetchall()
    assert len(members) == 3
    with visit(browser, (site / "material" / "rare_earths.html").as_uri()) as found:
        row = found.page.locator("[aria-label='Export controls'] tbody tr", has_text="No. MOFCOM/GAC 2025 No. 18")
        assert row.count() == 1
        assert all(name in row.inner_text() for (name,) in members)
        assert "MOFCOM/GAC 2025 No. 18" in found.page.locator("[data-chart=timeline] svg").text_content()


def test_an_axis_of_years_has_each_year_once(browser: Any, site: Path) -> None:
    with visit(browser, (site / "material" / "gallium.html").as_uri()) as found:
        for chart in ("hhi", "trend"):
            texts = found.page.locator(f"[data-chart={chart}] .role-axis-label").first.locator("text")
            years = [text for text in texts.all_text_contents() if text]
            assert years
            assert len(set(years)) == len(years)
            assert all(re.fullmatch(r"20\d\d", year) for year in years)


def test_largest_hidden_exposures_are_those_of_the_mart(browser: Any, site: Path, marts: Any) -> None:
    expected = marts.execute(
        """
        select m.name, s.name, c.name, 100 * d.hidden_share from mart_supplier_exposure d
        join dim_material m using (material) join dim_stage s using (stage) join dim_country c on c.iso3 = d.country
        where d.importer = 'USA' and d.year = 2024 and d.hidden_share > 0 and d.country not in ('OTH', 'USA')
            and d.material <> 'magnet_rare_earths'
        qualify row_number() over (partition by d.material order by d.hidden_share desc) = 1
        order by d.hidden_share desc limit 10
        """
    ).fetchall()
    with visit(browser, (site / "index.html").as_uri()) as found:
        table = found.page.locator("[aria-label='Largest hidden exposures'] tbody tr")
        shown = [row.locator("th, td").all_text_contents() for row in table.all()]
        assert found.page.locator("[data-chart=hidden] svg path").count() > 20
    assert [row[:3] for row in shown] == [list(row[:3]) for row in expected]
    assert [float(row[5]) for row in shown] == pytest.approx([row[3] for row in expected], abs=0.55)


def test_claims_begin_with_a_summary_and_show_their_rows_on_demand(browser: Any, place: str, marts: Any) -> None:
    (differs,) = marts.execute("select count(*) from mart_claims where verdict = 'differs'").fetchone()
    with visit(browser, f"{place}/claims.html") as found:
        page, shown = found.page, found.page.locator("#claims tbody tr:visible")
        assert shown.count() == 0
        assert page.evaluate("document.documentElement.scrollHeight") < 3000
        page.locator(".facts a", has_text=re.compile(rf"^{differs}$")).click()
        assert shown.count() == 25
        assert set(page.locator("#claims tbody tr:visible .tag").all_text_contents()) == {"differs"}
        page.click("button[data-more=claims]")
        assert shown.count() == 50
        assert f"{differs} of" in page.inner_text("output")
        page.fill("#find", "no such words")
        assert shown.count() == 0
        assert "0 of" in page.inner_text("output")


def test_without_javascript_the_figures_are_there(browser: Any, site: Path) -> None:
    with visit(browser, (site / "material" / "rare_earths.html").as_uri(), script=False) as found:
        assert "China" in found.page.inner_text("#importer-part")
        assert not found.page.locator("#importer").is_visible(), "a chooser that can do nothing is hidden"
    with visit(browser, (site / "claims.html").as_uri(), script=False) as found:
        found.page.click("summary")
        assert found.page.locator("#claims tbody tr").last.is_visible()
    with visit(browser, (site / "index.html").as_uri(), script=False) as found:
        found.page.check("#by-face")
        assert found.page.locator(".heat .by-face").first.is_visible()
        assert not found.page.locator(".heat .by-traced").first.is_visible()


def test_downloads_hold_what_the_page_shows(site: Path, marts: Any) -> None:
    csv = pl.read_csv(site / "downloads" / "rare_earths.csv", infer_schema_length=None)
    book = pl.read_excel(site / "downloads" / "rare_earths.xlsx", sheet_name="mart_dependence_by_stage")
    expected = marts.execute(
        "select importer, stage, top_processor_share from mart_dependence_by_stage "
        "where material = 'rare_earths' and year = 2024 order by importer, stage"
    ).pl()
    for frame in (csv, book):
        # A workbook keeps fifteen digits.
        assert_frame_equal(frame.select(expected.columns).sort("importer", "stage"), expected, rel_tol=1e-12)


def test_the_same_marts_give_the_same_bytes(site: Path, first_run: tuple[Path, Any], tmp_path: Path) -> None:
    done = oretrace("site", str(tmp_path / "again"), home=first_run[0])
    assert done.returncode == 0, done.stderr
    differing = [
        path.relative_to(site).as_posix()
        for path in site.rglob("*")
        if path.is_file() and path.read_bytes() != (tmp_path / "again" / path.relative_to(site)).read_bytes()
    ]
    assert differing == []
    refused = oretrace("site", str(site.parent), home=first_run[0])
    assert refused.returncode == 2
    assert "something else" in refused.stderr


def test_every_link_of_every_page_leads_somewhere(site: Path) -> None:
    broken = []
    for path in site.rglob("*.html"):
        if path.relative_to(site).parts[0] in ("dbt", "audit"):
            continue
        for link in set(re.findall(r'(?:href|src)="([^"#]+)', path.read_text())):
            if not re.match(r"(https?|data|mailto):", link) and not (path.parent / link).resolve().is_file():
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


def test_the_first_page_is_light_and_the_site_small(site: Path) -> None:
    first = sum(
        (site / name).stat().st_size
        for name in ("index.html", "assets/style.css", "assets/app.js", "assets/specs.js", "assets/names.js")
    )
    assert first < 300_000
    files = [path.stat() for path in site.rglob("*") if path.is_file()]
    assert sum(file.st_size for file in files) < 25_000_000
    assert sum(file.st_blocks * 512 for file in files) < 25_000_000, "as the disk counts it"


def test_no_page_says_where_it_was_built(site: Path, first_run: tuple[Path, Any]) -> None:
    told = [
        path for path in site.rglob("*") if path.suffix in (".html", ".js") and str(first_run[0]) in path.read_text()
    ]
    assert told == []
