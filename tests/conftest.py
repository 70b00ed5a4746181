"""Shared fixtures."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.ceph import Server
    from tests.shelves import Place

# How long an example takes says more of the machine than of the product.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the publishers' own files beside the project; tests that need them skip without."""
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the publishers' files are not beside this project (../shared/data)")
    return folder


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    """A real S3 server on loopback, started once."""
    from tests.ceph import ceph

    folder = Path(tempfile.mkdtemp(prefix="s3-"))
    try:
        with ceph(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def s3_bucket(s3_server: Server) -> str:
    """A bucket on it."""
    return s3_server.make_bucket()


@pytest.fixture
def place(s3_server: Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty store, which the environment names."""
    from tests.shelves import Place

    found = Place(s3_server, s3_bucket, f"s3://{s3_bucket}/tests/{uuid4().hex[:12]}")
    for name, value in found.environment().items():
        monkeypatch.setenv(name, value)
    return found
