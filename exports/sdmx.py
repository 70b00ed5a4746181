"""The dependence marts as SDMX: structure (SDMX-ML 3.0) and observations (SDMX-CSV 2.0).

What belongs here: which measure of which mart is which series, and the words of SDMX for unit, status, bounds. What
does not: figures that the marts do not hold. pysdmx writes and reads the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from exports.files import fresh_file
from exports.notes import Notes

if TYPE_CHECKING:
    from pysdmx.model import Codelist, Concept
    from pysdmx.model.dataflow import DataStructureDefinition, Schema

AGENCY = "ORETRACE"
FLOW = "DEPENDENCE"
# The standard leaves the version of a structure to its maintainer; it moves when a component or a code changes meaning.
VERSION = "1.0.0"
STRUCTURE_FILE = "dependence_structure.xml"
DATA_FILE = "dependence.csv"
NOT_APPLICABLE = "_Z"

STAGES, EXPOSURE = "mart_dependence_by_stage", "mart_supplier_exposure"
TABLES = (STAGES, EXPOSURE)


@dataclass(frozen=True)
class Measure:
    """One column of a mart as an indicator.

    Attributes:
        code: of the indicator.
        table: the mart.
        column: the value; ``low`` and ``high`` its bounds, where there are any.
        unit: code of the unit of measure.
        evidence: column that grades it; None where the measure is computed here from graded parts.
        source: columns that name source and edition.
        token: column of the figure as printed.
        basis: column that says what the figure counts.
    """

    code: str
    table: str
    column: str
    unit: str
    low: str | None = None
    high: str | None = None
    evidence: str | None = "evidence"
    source: tuple[str, str] | None = None
    token: str | None = None
    basis: str | None = None


def _bounded(code: str, table: str, column: str, unit: str, **more: Any) -> Measure:
    return Measure(code, table, column, unit, f"{column}_low", f"{column}_high", **more)


_TRADE, _OUTPUT = ("trade_source", "trade_vintage"), ("production_source", "production_vintage")
MEASURES = (
    _bounded("PRODUCTION", STAGES, "production_t", "T", source=_OUTPUT),
    _bounded("IMPORTS", STAGES, "imports_t", "T", source=_TRADE),
    Measure("EXPORTS", STAGES, "exports_t", "T", source=_TRADE),
    Measure(
        "NET_IMPORT_RELIANCE", STAGES, "nir_pct", "PT", "nir_low_pct", "nir_high_pct",
        source=("nir_source", "nir_vintage"), token="nir_token",  # noqa: S106  # a printed figure
    ),
    Measure("HHI_LOW", STAGES, "hhi_low", "INDEX", basis="share_basis", source=("share_source", "share_vintage")),
    Measure("HHI_HIGH", STAGES, "hhi_high", "INDEX", basis="share_basis", source=("share_source", "share_vintage")),
    _bounded("IMPORT_SHARE", EXPOSURE, "import_share", "SHARE", basis="share_basis", source=("source", "vintage")),
    _bounded("FACE_VALUE_SHARE", EXPOSURE, "face_value_share", "SHARE", evidence=None, basis="face_value_basis"),
    _bounded("MADE_IN_SHARE", EXPOSURE, "made_in_share", "SHARE", evidence="traced_evidence"),
    _bounded("PROCESSED_IN_SHARE", EXPOSURE, "processed_in_share", "SHARE", evidence="traced_evidence"),
    Measure("MINE_ORIGIN_SHARE", EXPOSURE, "mine_origin_share", "SHARE", evidence="traced_evidence"),
    Measure("HIDDEN_SHARE", EXPOSURE, "hidden_share", "SHARE", evidence="traced_evidence"),
)  # fmt: skip
UNITS = {"T": "Tonnes contained", "PT": "Percent", "INDEX": "Index, 0 to 10000", "SHARE": "Share, 1 is all"}
STATUS = {
    "A": "Normal value",
    "E": "Estimated value",
    "I": "Value imputed by a receiving agency: computed or assumed here",
    "O": "Missing value: the source gives no figure, only what OBS_PRINTED and the bounds say",
    "Q": "Missing value: suppressed by the source",
}
GRADES = {"reported": "Reported", "estimated": "Estimated by the source", "derived": "Computed", "assumed": "Assumed"}
_BY_GRADE = {"reported": "A", "estimated": "E", "derived": "I", "assumed": "I"}
_DIMENSIONS = ("FREQ", "REF_AREA", "COUNTERPART_AREA", "MATERIAL", "STAGE", "INDICATOR", "TIME_PERIOD")
_ATTRIBUTES = (
    "UNIT_MEASURE", "UNIT_MULT", "DECIMALS", "OBS_STATUS", "CONF_STATUS", "OBS_LOW", "OBS_HIGH", "OBS_PRINTED",
    "EVIDENCE", "BASIS", "SOURCE",
)  # fmt: skip
_COLUMNS = (*_DIMENSIONS, "OBS_VALUE", *_ATTRIBUTES)
_NAMES = {
    "FREQ": "Frequency",
    "REF_AREA": "Importing economy",
    "COUNTERPART_AREA": "Country the importer depends on; _Z where the figure is of the importer alone",
    "MATERIAL": "Material",
    "STAGE": "Stage of the supply chain",
    "INDICATOR": "What is measured",
    "TIME_PERIOD": "Year",
    "OBS_VALUE": "Value",
    "UNIT_MEASURE": "Unit of measure",
    "UNIT_MULT": "Power of ten of the unit",
    "DECIMALS": "Decimals that are shown",
    "OBS_STATUS": "Status of the observation",
    "CONF_STATUS": "Confidentiality",
    "OBS_LOW": "Least value the figure allows",
    "OBS_HIGH": "Greatest value the figure allows",
    "OBS_PRINTED": "The figure as its source prints it",
    "EVIDENCE": "Grade of evidence",
    "BASIS": "What the figure counts",
    "SOURCE": "Source and edition",
}


def observations(frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Turn rows of the dependence marts into observations, one per figure.

    A figure that its source withholds or censors is an observation without value, with its status, bounds and what
    is printed; where there is nothing at all there is no observation.

    Args:
        frames: by name, rows of ``mart_dependence_by_stage`` and ``mart_supplier_exposure``.

    Returns:
        Dimensions, ``OBS_VALUE`` and attributes, sorted by the dimensions.
    """
    found = [_measure(frames[measure.table], measure) for measure in MEASURES if measure.table in frames]
    return pl.concat(found).select(_COLUMNS).sort(_DIMENSIONS)


def _measure(rows: pl.DataFrame, measure: Measure) -> pl.DataFrame:
    value = pl.col(measure.column)
    printed = pl.col(measure.token) if measure.token else pl.lit(None, pl.String)
    evidence = pl.col(measure.evidence) if measure.evidence else pl.lit("derived")
    source = pl.concat_str(*measure.source, separator=" ", ignore_nulls=True) if measure.source else pl.lit("oretrace")
    withheld = printed.is_in(["W", "w"]).fill_null(value=False)
    status = (
        pl.when(value.is_not_null())
        .then(evidence.replace_strict(_BY_GRADE, default="A", return_dtype=pl.String))
        .otherwise(pl.when(withheld).then(pl.lit("Q")).otherwise(pl.lit("O")))
    )
    partner = pl.col("country") if measure.table == EXPOSURE else pl.lit(NOT_APPLICABLE)
    low, high = (pl.col(name) if name else pl.lit(None, pl.Float64) for name in (measure.low, measure.high))
    return rows.filter(value.is_not_null() | printed.is_not_null()).select(
        FREQ=pl.lit("A"),
        REF_AREA="importer",
        COUNTERPART_AREA=partner,
        MATERIAL="material",
        STAGE="stage",
        INDICATOR=pl.lit(measure.code),
        TIME_PERIOD=pl.col("year").cast(pl.String),
        OBS_VALUE=value,
        UNIT_MEASURE=pl.lit(measure.unit),
        UNIT_MULT=pl.lit("0"),
        DECIMALS=pl.lit({"T": "0", "PT": "1", "INDEX": "0"}.get(measure.unit, "4")),
        OBS_STATUS=status,
        CONF_STATUS=pl.when(withheld).then(pl.lit("C")).otherwise(pl.lit("F")),
        OBS_LOW=low,
        OBS_HIGH=high,
        OBS_PRINTED=printed,
        EVIDENCE=evidence,
        BASIS=pl.col(measure.basis) if measure.basis else pl.lit(None, pl.String),
        SOURCE=source,
    )


def write_sdmx(
    folder: Path, frames: Mapping[str, pl.DataFrame], names: Mapping[str, Mapping[str, str]], notes: Notes
) -> int:
    """Write ``dependence_structure.xml`` and ``dependence.csv``.

    Args:
        folder: where to.
        frames: by name, rows of the dependence marts.
        names: for ``country``, ``material`` and ``stage``, the name of each code.
        notes: of the release, for units and meaning.

    Returns:
        Number of observations.
    """
    from pysdmx.io import write_sdmx as write
    from pysdmx.io.format import Format
    from pysdmx.io.pd import PandasDataset

    artefacts, schema = _structure(names, notes)
    rows = observations(frames)
    with fresh_file(folder / STRUCTURE_FILE) as partial:
        write(artefacts, Format.STRUCTURE_SDMX_ML_3_0, str(partial))
    with fresh_file(folder / DATA_FILE) as partial:
        dataset = PandasDataset(structure=schema, data=rows.to_pandas(use_pyarrow_extension_array=True))
        write([dataset], Format.DATA_SDMX_CSV_2_0_0, str(partial))
    return rows.height


def codes(names: Mapping[str, Mapping[str, str]], notes: Notes) -> dict[str, dict[str, str]]:
    """Return the codes of every coded component, by component, with their names."""
    columns = {(table, column.name): column.description for table in TABLES for column in notes.table(table).columns}
    areas = dict(names["country"])
    return {
        "FREQ": {"A": "Annual"},
        "REF_AREA": areas,
        "COUNTERPART_AREA": areas | {
            "SECONDARY": "Recycled supply and stocks", "UNEXPLAINED": "What no figure explains",
            NOT_APPLICABLE: "Not applicable",
        },
        "MATERIAL": dict(names["material"]),
        "STAGE": dict(names["stage"]),
        "INDICATOR": {
            measure.code: columns.get((measure.table, measure.column)) or measure.column for measure in MEASURES
        },
        "UNIT_MEASURE": UNITS,
        "OBS_STATUS": STATUS,
        "CONF_STATUS": {"F": "Free for publication", "C": "Confidential at the source"},
        "EVIDENCE": GRADES,
    }  # fmt: skip


def _structure(names: Mapping[str, Mapping[str, str]], notes: Notes) -> tuple[list[Any], Schema]:
    """Build agency, code lists, concepts, data structure and dataflow."""
    from pysdmx.model import Agency, AgencyScheme, Code, Codelist, Concept, ConceptScheme
    from pysdmx.model.dataflow import Dataflow

    agency = Agency(AGENCY, name="oretrace")
    lists = {
        component: Codelist(
            f"CL_{component}",
            name=_NAMES[component],
            agency=AGENCY,
            version=VERSION,
            items=[Code(code, name=text) for code, text in sorted(known.items())],
        )
        for component, known in codes(names, notes).items()
    }
    concepts = {component: Concept(component, name=_NAMES[component]) for component in _COLUMNS}
    scheme = ConceptScheme("CONCEPTS", name="Concepts", agency=AGENCY, version=VERSION, items=list(concepts.values()))
    structure = _data_structure(concepts, lists)
    flow = Dataflow(
        FLOW,
        name="Dependence in critical minerals",
        description=f"Release {notes.release}. {notes.licence}",
        agency=AGENCY,
        version=VERSION,
        structure=structure,
    )
    agencies = AgencyScheme(agency="SDMX", items=[agency])
    return [agencies, *lists.values(), scheme, structure, flow], structure.to_schema()


def _data_structure(concepts: Mapping[str, Concept], lists: Mapping[str, Codelist]) -> DataStructureDefinition:
    from pysdmx.model import DataType, ItemReference
    from pysdmx.model.dataflow import Component, Components, DataStructureDefinition, Role

    numbers, whole = {"OBS_VALUE", "OBS_LOW", "OBS_HIGH"}, {"UNIT_MULT", "DECIMALS"}

    def component(name: str, role: Role) -> Component:
        kind = DataType.DOUBLE if name in numbers else DataType.INTEGER if name in whole else DataType.STRING
        return Component(
            id=name,
            required=name in _DIMENSIONS or name in ("OBS_STATUS", "UNIT_MEASURE"),
            role=role,
            concept=ItemReference("Concept", AGENCY, "CONCEPTS", VERSION, name),
            local_dtype=DataType.PERIOD if name == "TIME_PERIOD" else kind,
            local_codes=lists.get(name),
            attachment_level="O" if role == Role.ATTRIBUTE else None,
        )

    return DataStructureDefinition(
        id=FLOW,
        name="Dependence in critical minerals by supply-chain stage",
        agency=AGENCY,
        version=VERSION,
        components=Components(
            [
                *(component(name, Role.DIMENSION) for name in _DIMENSIONS),
                component("OBS_VALUE", Role.MEASURE),
                *(component(name, Role.ATTRIBUTE) for name in _ATTRIBUTES),
            ]
        ),
    )
