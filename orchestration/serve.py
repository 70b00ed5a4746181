"""The published releases over HTTP: pages, Parquet and the DuckDB file, with range requests, for readers elsewhere.

Every path names its release (``/<version>/mart_claims.parquet``), so an address never changes its bytes;
``/current/...`` leads to the release that is published at that moment. What belongs here: which file answers which
address, and what the answer says of itself. What does not: what is in a release, command-line words.
"""

from __future__ import annotations

import html
import json
import socket
import stat
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ingest.errors import BadInput, OretraceError
from orchestration.publish import Release, current_release, list_releases

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

PACKAGE = "datapackage.json"
CHECKSUMS = "checksums.txt"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_MEDIA = {".parquet": "application/vnd.apache.parquet", ".duckdb": "application/vnd.duckdb", ".md": "text/markdown"}
# Pages may run their own scripts and nobody else's; nothing on them is fetched from another host.
_POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self'"
)
_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": _POLICY,
}
_IMMUTABLE = "public, max-age=31536000, immutable"


def serve(warehouse: Path, *, host: str, port: int, cors: bool, verbose: bool) -> None:
    """Answer until Ctrl-C.

    Args:
        warehouse: holds the releases.
        host: address to listen on.
        port: port to listen on.
        cors: let pages of other origins read (DuckDB-WASM in a page of yours).
        verbose: a line per request on stderr.

    Raises:
        BadInput: nothing is published, or the port cannot be had.
    """
    import uvicorn

    if current_release(warehouse) is None:
        raise BadInput(f"there is no published release in {warehouse} yet. Build one with: oretrace run")
    listener = listen(host, port, "oretrace serve")
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{port}/ (Ctrl-C ends)", file=sys.stderr, flush=True)
    config = uvicorn.Config(
        application(warehouse, cors=cors, hosts=LOOPBACK if host in LOOPBACK else ("*",)),
        log_level="info" if verbose else "warning",
        access_log=verbose,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=3,
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # that is how it ends
    finally:
        listener.close()


def listen(host: str, port: int, command: str) -> socket.socket:
    """Take the port before anything starts, so that a taken one is told in one line.

    Args:
        host: address to listen on.
        port: port to listen on.
        command: the command that the message proposes with another port.

    Raises:
        BadInput: the port cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise BadInput(
            f"cannot listen on {host} port {port}: {error.strerror}. Take another: {command} --port {port % 65535 + 1}"
        ) from None
    return listener


def application(warehouse: Path, *, cors: bool = False, hosts: tuple[str, ...] = LOOPBACK) -> Starlette:
    """Make the application that answers for a warehouse.

    Args:
        warehouse: holds the releases.
        cors: let pages of other origins read.
        hosts: names by which it may be addressed; anything else is refused, so that a page elsewhere cannot reach
            it under a name of its own.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.cors import CORSMiddleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.routing import Route

    def answer(request: Request) -> Response:
        response = _answer(warehouse, request)
        for name, text in _SECURITY.items():
            response.headers[name] = text
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin" if cors else "same-origin"
        return response

    names = [f"[{name}]" if ":" in name else name for name in hosts]
    middleware = [Middleware(TrustedHostMiddleware, allowed_hosts=names, www_redirect=False)]
    if cors:
        exposed = ["Accept-Ranges", "Content-Length", "Content-Range", "ETag"]
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["GET", "HEAD"],
                allow_headers=["Range", "If-Range"],
                expose_headers=exposed,
            )
        )
    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "HEAD"])], middleware=middleware)


def _answer(warehouse: Path, request: Request) -> Response:
    """Answer one request from one release; which one is read once, here."""
    from starlette.responses import JSONResponse, PlainTextResponse

    parts = request.path_params["path"].split("/")
    if parts in ([""], ["current"]) or parts[0] == "current":
        return _to_current(warehouse, parts)
    if parts == ["releases.json"]:
        return JSONResponse(_listing(warehouse), headers={"Cache-Control": "no-store"})
    release = _release(warehouse, parts[0])
    found = _inside(release.folder, parts[1:]) if release else None
    if release is None or found is None:
        return PlainTextResponse("There is nothing at this address; see /releases.json\n", status_code=404)
    if found.is_dir():
        return _folder(release, found, request)
    return _file(release, found, request)


def _to_current(warehouse: Path, parts: list[str]) -> Response:
    from starlette.responses import PlainTextResponse, RedirectResponse

    release = current_release(warehouse)
    if release is None:
        return PlainTextResponse("Nothing is published.\n", status_code=503)
    rest = parts[1:]
    if not rest and parts == [""] and (release.folder / "site" / "index.html").is_file():
        rest = ["site", ""]
    address = "/" + "/".join(quote(part) for part in (release.version, *(rest or [""])))
    return RedirectResponse(address, status_code=307, headers={"Cache-Control": "no-store"})


def _listing(warehouse: Path) -> dict[str, Any]:
    current = current_release(warehouse)
    return {
        "current": current.version if current else None,
        "releases": [
            {"version": release.version, "created": package.get("created"), "package": f"/{release.version}/{PACKAGE}"}
            for release, package in list_releases(warehouse)
        ],
    }


def _release(warehouse: Path, version: str) -> Release | None:
    """Return a complete release by its name; only names of folders right there, never a path."""
    if not version or version.startswith(".") or {"/", "\\", "\0"} & set(version):
        return None
    folder = warehouse / "releases" / version
    whole = folder.is_dir() and not folder.is_symlink() and (folder / PACKAGE).is_file()
    return Release(version, folder) if whole else None


def _inside(folder: Path, parts: list[str]) -> Path | None:
    """Return the file or folder below ``folder``; nothing hidden, nothing outside, no link."""
    if parts and parts[-1] == "":
        parts = parts[:-1]
    if any(not part or part.startswith(".") or {"\\", "\0"} & set(part) for part in parts):
        return None
    path = folder.joinpath(*parts)
    try:
        kind = path.lstat().st_mode
        if path.resolve() != folder.resolve().joinpath(*parts) or not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            return None
    except OSError:
        return None
    return path


def _folder(release: Release, folder: Path, request: Request) -> Response:
    from starlette.responses import HTMLResponse, RedirectResponse

    if not request.url.path.endswith("/"):
        return RedirectResponse(quote(request.url.path) + "/", status_code=307)
    if (folder / "index.html").is_file():
        return _file(release, folder / "index.html", request)
    names = sorted(f"{item.name}/" if item.is_dir() else item.name for item in folder.iterdir())
    items = "\n".join(f'<li><a href="./{quote(name)}">{html.escape(name)}</a></li>' for name in names if name[0] != ".")
    title = html.escape(request.url.path)
    return HTMLResponse(
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>\n<h1>{title}</h1>\n'
        f"<ul>\n{items}\n</ul></html>\n"
    )


def _file(release: Release, path: Path, request: Request) -> Response:
    from starlette.responses import FileResponse, Response

    tag = f'"{_tag(release, path)}"'
    headers = {"ETag": tag, "Cache-Control": _IMMUTABLE}
    wanted = request.headers.get("if-match")
    if wanted and wanted != "*" and tag not in [item.strip() for item in wanted.split(",")]:
        return Response(status_code=412)
    if tag in [item.strip().removeprefix("W/") for item in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    media = _MEDIA.get(path.suffix)
    return FileResponse(path, headers=headers, media_type=media, stat_result=path.stat())


def _tag(release: Release, path: Path) -> str:
    """Return the hash that the release lists for a file; for one that it does not list, what names its bytes."""
    name = path.relative_to(release.folder).as_posix()
    return _hashes(release.folder).get(name) or f"{release.version}-{path.stat().st_size}-{path.stat().st_mtime_ns}"


@lru_cache(maxsize=8)
def _hashes(folder: Path) -> Mapping[str, str]:
    try:
        package = json.loads((folder / PACKAGE).read_text())
        found = {item["path"]: item["hash"].removeprefix("sha256:") for item in package["resources"]}
        if (folder / CHECKSUMS).is_file():
            for line in (folder / CHECKSUMS).read_text().splitlines():
                digest, _, name = line.partition("  ")
                found[name] = digest
    except (OSError, ValueError, KeyError) as error:
        raise OretraceError(f"{folder}: its lists cannot be read: {error}. Look with: oretrace verify") from None
    return found
