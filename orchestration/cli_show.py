"""The commands ``oretrace show``: ready-made views of the published marts.

What belongs here: words and options. What does not: the views (``show``).
"""

from __future__ import annotations

import click

from orchestration.cli_options import form_option, published_words

FORMATS = ("table", "csv", "json", "parquet", "xlsx")

_importer = click.option(
    "--importer", required=True, shell_complete=published_words("importer"), help="ISO3 code or name, e.g. USA."
)
_material = click.option(
    "--material", required=True, shell_complete=published_words("material"), help="Slug or name, e.g. rare_earths."
)


@click.group()
def show() -> None:
    """Show a ready-made view of the published marts."""


@show.command("dependence")
@_importer
@_material
@click.option("--stage", shell_complete=published_words("stage"), help="One stage, e.g. compound; all by default.")
@click.option("--year", type=int, help="One year; the newest three with figures by default.")
@form_option(*FORMATS)
def show_dependence(importer: str, material: str, stage: str | None, year: int | None, form: str) -> None:
    """How dependent an importer is on a material, stage by stage, and on whom.

    Shares are of imports; a printed token such as >95 is shown as printed.

    \b
    Example: oretrace show dependence --importer DEU --material rare_earths --stage component
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration import render
    from orchestration.show import dependence
    from orchestration.warehouse import connect

    with connect() as db:
        stages, suppliers = dependence(db, importer, material, stage, year)
    if form == "table":
        render.print_table(stages, "Dependence by stage")
        print()
        render.print_table(
            suppliers, "Countries: share of imports; and of supply at face value, made in, processed in, mined in"
        )
    else:
        render.write_frame(stages.join(suppliers, on=["stage", "year"], how="left", suffix="_supplier"), form)


@show.command("makers")
@_importer
@_material
@click.option("--stage", shell_complete=published_words("stage"), help="The last stage seen through by default.")
@click.option("--year", type=int, help="The newest year seen through by default.")
@click.option("--all", "every", is_flag=True, help="Every country; those of half a percent and more by default.")
@form_option(*FORMATS)
def show_makers(importer: str, material: str, stage: str | None, year: int | None, every: bool, form: str) -> None:
    """Who sold what an importer imports, and who really made it: shares of its imports, in percent.

    The makers are found by seeing through re-exports, on tonnes contained. Quote the interval with the figure.

    \b
    Example: oretrace show makers --importer DEU --material rare_earths --stage component
             oretrace show makers --importer Japan --material "Rare earths" --all --json
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration import render
    from orchestration.show import makers
    from orchestration.warehouse import connect

    with connect() as db:
        title, found = makers(db, importer, material, stage, year, smallest=0.0 if every else 0.005)
    if form == "table":
        print(title)
        render.print_table(found.drop("stage", "year", "basis"))
    else:
        render.write_frame(found, form)
