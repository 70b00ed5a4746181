"""The two lock files pin the same versions: adding Spark to an environment changes nothing that is there."""

from __future__ import annotations

import re

from tests.conftest import PROJECT


def pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9_.-]+)==([^ ;\\]+)", (PROJECT / name).read_text(), re.MULTILINE))


def test_adding_spark_changes_no_version_of_the_default_installation() -> None:
    usual, spark = pins("requirements.lock"), pins("requirements-spark.lock")
    assert len(usual) > 150
    assert {name: spark.get(name) for name in usual} == usual
    assert {"pyspark", "dbt-spark"} <= spark.keys() - usual.keys()
