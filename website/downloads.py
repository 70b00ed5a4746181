"""Files to take away from a material's page: CSV and a workbook, small.

What belongs here: which rows and columns. What does not: the form of the files (``exports``), and everything else of
the warehouse, which is in its Parquet and DuckDB files.
"""

from __future__ import annotations

import polars as pl

from exports.files import Sheet, write_csv, write_workbook
from exports.notes import Notes, read_notes
from website import words
from website.render import Site

FOLDER = "downloads"
# What a reader of the page saw, with bounds, basis, sources and evidence.
COLUMNS = [
    "importer",
    "material",
    "stage",
    "year",
    "top_supplier",
    "top_supplier_import_share",
    "share_basis",
    "share_period",
    "share_source",
    "share_vintage",
    "hhi_low",
    "hhi_high",
    "top_processor",
    "top_processor_face_value_share",
    "top_processor_made_in_share",
    "top_processor_share",
    "top_processor_share_low",
    "top_processor_share_high",
    "top_processor_hidden_share",
    "unexplained_share",
    "nir_token",
    "nir_derived_pct",
    "imports_t",
    "imports_t_low",
    "imports_t_high",
    "production_t",
    "traced_evidence",
    "evidence",
]


def write(site: Site) -> None:
    """Write a CSV and a workbook per material: dependence of the year on show, and newest world output."""
    marts, folder = site.marts, site.folder / FOLDER
    folder.mkdir()
    notes = read_notes(site.source) if (site.source / "datapackage.json").is_file() else Notes(site.release["version"])
    picked = ", ".join(f"d.{name}" for name in COLUMNS)
    dependence = marts.db.execute(
        f"select {picked} from mart_dependence_by_stage as d join dim_stage as s using (stage) where d.year = $year "
        "order by d.material, d.importer, s.position",
        {"year": marts.year},
    ).pl()
    output = marts.db.execute(_OUTPUT).pl() if marts.has("mart_stage_output") else None
    for material, name in marts.materials.items():
        rows = dependence.filter(pl.col("material") == material)
        sheets = [Sheet("mart_dependence_by_stage", rows)]
        if output is not None:
            sheets.append(Sheet("mart_stage_output", output.filter(pl.col("material") == material)))
        path = folder / words.slug(material)
        write_csv(rows, path.with_suffix(".csv"))
        about = f"{name}: dependence of every importer in {marts.year}, and world output of the newest year"
        write_workbook(path.with_suffix(".xlsx"), sheets, notes, about)


_OUTPUT = """
select o.* exclude (is_total) from mart_stage_output as o join dim_stage as s using (stage)
where not o.is_total
qualify o.year = max(o.year) over (partition by o.material, o.stage, o.source)
order by o.material, s.position, o.source, o.share desc nulls last, o.country
"""
