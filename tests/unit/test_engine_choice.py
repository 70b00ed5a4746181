"""Choosing an engine: what is missing is said in one line before anything is begun."""

from __future__ import annotations

import socket

import pytest
from click.testing import CliRunner

from ingest.errors import BadInput
from orchestration.cli import cli
from orchestration.engines import engine_named, spark
from orchestration.resources import default_builder


@pytest.mark.parametrize("remote", ["", "127.0.0.1:15002", "http://127.0.0.1:15002", "sc://", "sc://host:port"])
def test_spark_needs_the_address_of_a_connect_server(remote: str) -> None:
    with pytest.raises(BadInput, match="needs a Spark Connect server, --remote sc://host:port"):
        engine_named("spark", remote)


def test_an_engine_that_is_not_installed_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark, "_installed", lambda module: module != "pyspark")
    with pytest.raises(BadInput, match=r"needs pyspark, not installed here. Install: pip install 'oretrace\[spark\]'"):
        engine_named("spark", "sc://127.0.0.1:15002")


def test_a_server_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark, "_installed", lambda module: True)
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        remote = f"sc://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BadInput, match=f"nothing answers at {remote}") as told:
            engine_named("spark", remote)
    assert told.value.exit_code == 2
    assert "\n" not in str(told.value)


def test_an_unknown_engine_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="Engines: duckdb, spark"):
        engine_named("sparkle")
    monkeypatch.setenv("ORETRACE_ENGINE", "sparkle")
    with pytest.raises(BadInput, match="ORETRACE_ENGINE='sparkle': expected one of duckdb, spark"):
        default_builder()


def test_a_remote_without_spark_is_a_mistake() -> None:
    answer = CliRunner().invoke(cli, ["run", "--remote", "sc://127.0.0.1:15002"])
    assert answer.exit_code == 2
    assert "--remote goes with --engine spark" in answer.output
