"""That the daemon or its storage is gone is told from outside, by the command that a timer runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ingest.home import Home
from orchestration.alerting.outbox import Outbox
from tests.conftest import PROJECT
from tests.pipeline.instance import free_port

WORD = "not-to-be-seen"


def look(home: Path) -> str:
    account = {"HOST": "127.0.0.1", "PORT": str(free_port()), "DATABASE": "d", "USER": "u", "PASSWORD": WORD}
    settings = {"ORETRACE_HOME": str(home)} | {f"ORETRACE_PG_{name}": text for name, text in account.items()}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("oretrace")), "alerts", "check", "--services"],
        env=os.environ | settings, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_a_storage_or_a_daemon_that_does_not_answer_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "dagster").mkdir()
    settings = tmp_path / "dagster" / "dagster.yaml"
    shutil.copy(PROJECT / "deploy" / "dagster.yaml", settings)
    said = look(tmp_path)
    assert "Connection refused" in said and WORD not in said
    (gone,) = (message.alert for message in Outbox(Home(tmp_path)).messages())
    assert gone.kind == "storage_gone" and "systemctl status postgresql" in gone.text()
    assert not any(WORD in path.read_text() for path in (tmp_path / "alerts").rglob("*") if path.is_file())
    settings.write_text("telemetry: {enabled: false}\n")  # a storage that answers, and no daemon that reports to it
    assert "has not reported" in look(tmp_path)
    assert [message.alert.kind for message in Outbox(Home(tmp_path)).messages()] == ["daemon_gone", "storage_gone"]
