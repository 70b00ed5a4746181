"""The command ``oretrace serve``: releases over HTTP.

What belongs here: words and options. What does not: the work (``serve``).
"""

from __future__ import annotations

import sys

import click

from ingest.errors import BadInput
from ingest.home import Home
from ingest.store import configured


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Another address than loopback needs --expose.")
@click.option("--expose", is_flag=True, help="Let other machines read; there is no login and no encryption.")
@click.option("--cors", is_flag=True, help="Let pages of other origins read, e.g. DuckDB-WASM in a notebook.")
@click.option("-v", "--verbose", is_flag=True, help="A line per request.")
def serve(port: int, host: str, expose: bool, cors: bool, verbose: bool) -> None:
    """Serve site, Parquet and DuckDB files of the releases over HTTP until Ctrl-C.

    Files answer range requests, so DuckDB elsewhere reads only what a query needs. /current/... leads to the
    published release; /VERSION/... never changes.

    \b
    Example: oretrace serve --port 8000
             duckdb -c "from 'http://127.0.0.1:8000/current/mart_claims.parquet' limit 5"
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.serve import LOOPBACK
    from orchestration.serve import serve as answer

    if host not in LOOPBACK and not expose:
        raise BadInput(
            f"--host {host} would let other machines in, without login or encryption. Add --expose if that is meant, "
            "or put a web server with TLS before the loopback address."
        )
    if host not in LOOPBACK:
        print(f"oretrace: warning: everyone who reaches {host}:{port} can read the releases.", file=sys.stderr)
    home = Home.from_environment()
    if configured():
        from orchestration.store.follow import follow

        follow(home)
    answer(home.warehouse, host=host, port=port, cors=cors, verbose=verbose)
