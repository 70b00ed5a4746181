"""The command ``oretrace export``: published tables to files.

What belongs here: words, options, progress. What does not: the work (``export``).
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from orchestration.cli_options import json_option, print_json, published_words


@click.command()
@click.argument("form", metavar="FORMAT", type=click.Choice(["csv", "xlsx", "parquet", "sdmx"]))
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--table",
    "tables",
    multiple=True,
    shell_complete=published_words("table"),
    help="A table; repeatable; every one by default.",
)
@click.option("--material", shell_complete=published_words("material"), help="Only this material: slug or name.")
@click.option("--importer", shell_complete=published_words("importer"), help="Only this importer: ISO3 code or name.")
@click.option("--stage", shell_complete=published_words("stage"), help="Only this stage.")
@click.option("--year", type=click.IntRange(1900, 2100), help="Only this year.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@json_option()
def export(
    form: str,
    target: Path,
    tables: tuple[str, ...],
    material: str | None,
    importer: str | None,
    stage: str | None,
    year: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write published tables as FORMAT (csv, xlsx, parquet, sdmx) to TARGET.

    csv and parquet: a file per table in the folder TARGET, or one file. xlsx: one workbook with a sheet per table
    and a sheet README. sdmx: structure and SDMX-CSV of the dependence marts in the folder TARGET. Tables without a
    chosen column are left out.

    \b
    Example: oretrace export xlsx magnets.xlsx --material rare_earths --importer DEU
             oretrace export csv claims.csv --table mart_claims
             oretrace export parquet tables --year 2024
             oretrace export sdmx sdmx --material gallium
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.export import Choice
    from orchestration.export import export as write
    from orchestration.progress import shown

    choice = Choice(tables, material, importer, stage, year)
    with shown("reading the release") as meter:
        done = write(form, target, choice, force=force, meter=meter)
    if as_json:
        what = {"release": done.release, "rows": done.rows, "left_out": done.left_out}
        print_json({**what, "files": [str(file) for file in done.files]})
        return
    if done.left_out:
        print(f"left out, without a chosen column: {', '.join(done.left_out)}", file=sys.stderr)
    print(f"release {done.release}: {len(done.rows)} table(s), {sum(done.rows.values()):,} rows", file=sys.stderr)
    for file in done.files:
        print(file)
