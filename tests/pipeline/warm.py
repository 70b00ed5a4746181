"""The command line without its start-up, for tests that start and kill it many times.

What belongs here: a process that has loaded the slow tools, and forks itself for every command; what starts
threads that a copy would miss (polars, and with it the definitions) is loaded in the copy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from tests.conftest import PROJECT

OVER = "the command is over\n"


@dataclass(frozen=True)
class Warm:
    """A process that starts commands; at most one at a time is alive."""

    process: subprocess.Popen[str]

    def start(self, *arguments: str) -> int:
        """Start ``oretrace`` with arguments, or ``parts`` of the job (see ``faults``), and return its process id."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(arguments) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def lines(self) -> Iterator[str]:
        """Give what the command prints to stderr, as it prints it."""
        assert self.process.stderr is not None
        return iter(self.process.stderr.readline, "")

    def over(self) -> int:
        """Wait until the command is over, whatever it still prints; return its code (negative: a signal)."""
        assert self.process.stdout is not None
        code = int(self.process.stdout.readline())
        next(line for line in self.lines() if line == OVER)
        return code


@contextmanager
def warm(environment: Mapping[str, str]) -> Iterator[Warm]:
    """Have a warm process for commands within the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.pipeline.warm"],
        cwd=PROJECT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield Warm(process)
        assert process.stdin is not None
        process.stdin.close()


def _command(arguments: list[str]) -> int:
    os.setsid()
    # The first core only: a run on more starts processes that load Great Expectations anew.
    if arguments[0] == "run":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    if arguments[0] == "parts":
        from tests.pipeline.faults import run_once

        return run_once(arguments[1:])
    import orchestration.cli

    sys.argv = ["oretrace", *arguments]
    try:
        orchestration.cli.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _main() -> None:
    import dagster_dbt  # noqa: F401
    import dbt.cli.main  # noqa: F401

    import orchestration.cli  # noqa: F401
    from expectations.adapter import great_expectations

    great_expectations()
    assert threading.active_count() == 1 and "polars" not in sys.modules, "a copy would miss a thread and wait for it"
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = _command(json.loads(line))
            finally:
                # At a usual exit libraries would join threads that the copy does not have.
                sys.stderr.flush()
                os._exit(code)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
        print(OVER, end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    _main()
