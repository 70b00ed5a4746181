"""One folder of an S3 bucket: objects are put, read, listed and removed; what goes wrong is told in one line.

What belongs here: the setting, the client, the words of its errors. What does not: which objects there are.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ingest.errors import BadInput, OretraceError
from ingest.net.keys import hide
from ingest.store import VARIABLE

if TYPE_CHECKING:
    from obstore.store import S3Store

# A letter or two of a name is all that S3 lets a bucket have besides digits, dots and dashes.
_URL = re.compile(
    r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[A-Za-z0-9._=-]+(?:/[A-Za-z0-9._=-]+)*))?"
)
_ENDPOINT = re.compile(r"https?://[^\s/@?#]+(?:/[^\s@?#]*)?")
_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
# Where keys come from other than the keys themselves and the machine's own role.
_ROLES = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)
PART = 8 * 1024 * 1024
MOST_PARTS = 9_000  # S3 takes 10,000
FILES_AT_ONCE, PARTS_AT_ONCE = 8, 4  # 256 MB at most in memory
_RETRY: Any = {
    "max_retries": 5,
    "retry_timeout": timedelta(minutes=3),
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=5), "base": 2},
}


class StoreFailed(OretraceError):
    """The object store did not do what it was asked, also when asked again; trying later may help."""


class Missing(StoreFailed):
    """There is no such object."""


class Taken(StoreFailed):
    """There is an object of that name already, and objects are never overwritten."""


@dataclass(frozen=True)
class Bucket:
    """A folder of a bucket.

    Attributes:
        url: ``s3://bucket/folder``, without a slash at its end.
        client: what speaks to the server.
    """

    url: str
    client: S3Store

    @classmethod
    def from_environment(cls) -> Bucket:
        """Read ``ORETRACE_STORE`` and the ``AWS_*`` variables; no request is made.

        Raises:
            BadInput: the setting is no address of a store, keys are missing, or the client is not installed.
        """
        # Neither of the two addresses is repeated: somebody may have written keys into it.
        match = _URL.fullmatch(os.environ.get(VARIABLE, "").strip().rstrip("/"))
        if match is None:
            raise BadInput(f"{VARIABLE} must look like s3://BUCKET/FOLDER (keys: AWS_ACCESS_KEY_ID and the like).")
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        if endpoint and not _ENDPOINT.fullmatch(endpoint):
            raise BadInput("AWS_ENDPOINT_URL must look like https://HOST:PORT, without a name or password.")
        _look_for_keys()
        return cls(match.group(), _client(match["bucket"], match["prefix"], endpoint))

    def put(self, key: str, content: bytes | Path, *, once: bool = False) -> None:
        """Write an object: whole or not at all.

        Args:
            key: its name below the folder.
            content: bytes, or a file; a large one goes in parts.
            once: refuse where there is one already.

        Raises:
            Taken: with ``once``, there is one already.
            StoreFailed, BadInput: it could not be written.
        """
        import obstore

        size = content.stat().st_size if isinstance(content, Path) else len(content)
        with self._told(f"write {key}"):
            if once:
                whole = content.read_bytes() if isinstance(content, Path) else content
                obstore.put(self.client, key, whole, mode="create")
            else:
                part = max(PART, size // MOST_PARTS + 1)
                obstore.put(self.client, key, content, chunk_size=part, max_concurrency=PARTS_AT_ONCE)

    def get(self, key: str) -> bytes:
        """Read a small object.

        Raises:
            Missing: there is none.
        """
        return b"".join(self._parts(key))

    def fetch(self, key: str, path: Path) -> str:
        """Read an object into a new file; return its SHA-256."""
        whole = hashlib.sha256()
        with path.open("xb") as stream:
            for part in self._parts(key):
                whole.update(part)
                stream.write(part)
        return whole.hexdigest()

    def digest(self, key: str) -> str:
        """Read an object and return its SHA-256; nothing is kept."""
        whole = hashlib.sha256()
        for part in self._parts(key):
            whole.update(part)
        return whole.hexdigest()

    def _parts(self, key: str) -> Iterator[bytes]:
        import obstore

        with self._told(f"read {key}"):
            for part in obstore.get(self.client, key).stream(min_chunk_size=PART):
                yield bytes(part)

    def sizes(self, below: str) -> dict[str, int]:
        """Return the sizes of all objects below a folder, by their names below the store's folder, in order."""
        return {item["path"]: item["size"] for item in self._listed(below)}

    def ages(self, below: str) -> dict[str, timedelta]:
        """Return how long ago each object below a folder was written, by the clock of the server."""
        probe = f"probe/{uuid4().hex}"
        self.put(probe, b"now")
        (now,) = (item["last_modified"] for item in self._listed("probe") if item["path"] == probe)
        self.remove([probe])
        return {item["path"]: now - item["last_modified"] for item in self._listed(below)}

    def _listed(self, below: str) -> list[Any]:
        import obstore

        with self._told(f"list {below}"):
            return sorted(
                (item for page in obstore.list(self.client, prefix=below) for item in page),
                key=lambda item: item["path"],
            )

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects; one that is gone already is no fault."""
        import obstore

        for key in keys:
            with self._told(f"remove {key}"):
                try:
                    obstore.delete(self.client, key)
                except FileNotFoundError as error:
                    if _code(error) == "NoSuchBucket":
                        raise

    def send(self, folder: Path, hashes: Mapping[str, str], below: str) -> None:
        """Write files below a folder of the store, read each back and compare.

        Args:
            folder: where the files are.
            hashes: their names and SHA-256.
            below: folder of the store.

        Raises:
            StoreFailed: one could not be written, or is not what it should be.
        """

        def one(name: str) -> None:
            self.put(f"{below}/{name}", folder / name)
            if (found := self.digest(f"{below}/{name}")) != hashes[name]:
                raise StoreFailed(
                    f"{self.url}/{below}/{name} is not what was written (expected sha256 {hashes[name][:12]}, "
                    f"found {found[:12]})."
                )

        _side_by_side(one, hashes)

    def bring(self, below: str, hashes: Mapping[str, str], folder: Path) -> None:
        """Read objects below a folder of the store into a folder on disk, and hold each to its SHA-256.

        Raises:
            StoreFailed: one is missing or is not what it should be.
        """

        def one(name: str) -> None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if (found := self.fetch(f"{below}/{name}", path)) != hashes[name]:
                raise StoreFailed(
                    f"{self.url}/{below}/{name} is damaged (expected sha256 {hashes[name][:12]}, found {found[:12]}). "
                    "Nothing of it is used. Look: oretrace verify"
                )

        for name in hashes:
            if not _stays_inside(name):
                raise StoreFailed(f"{self.url}/{below} lists {name!r}, which is no name of a file. Nothing is used.")
        _side_by_side(one, hashes)

    def refuse_if_it_overwrites(self) -> None:
        """Make sure that the server knows ``If-None-Match: *``, on which all publication rests.

        Raises:
            BadInput: it overwrites an object that was there.
        """
        key = f"probe/{uuid4().hex}"
        self.put(key, b"first", once=True)
        try:
            self.put(key, b"second", once=True)
        except Taken:
            self.remove([key])
            return
        with suppress(StoreFailed):
            self.remove([key])
        raise BadInput(
            f"the server of {self.url} overwrites an object although it was told not to (If-None-Match: *), so two "
            "publishers could overwrite each other. Nothing was published; use a server that knows conditional writes."
        )

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn what the client raises into one line without keys, signatures or the server's page."""
        import obstore.exceptions as known

        try:
            yield
        except (known.AlreadyExistsError, known.PreconditionError):
            raise Taken(f"{self.url}: could not {what}: there is one already.") from None
        except (known.BaseError, FileNotFoundError, OSError, ValueError) as error:
            if getattr(error, "errno", None) is not None:  # a file on this disk
                raise
            raise self._failure(error, what) from None

    def _failure(self, error: Exception, what: str) -> OretraceError:
        said, code, status = str(error), _code(error), _status(error)
        answer = " ".join(filter(None, (status, code)))
        if code == "NoSuchBucket":
            return BadInput(f"{self.url}: there is no such bucket at {_where()}. Make it, or correct {VARIABLE}.")
        if isinstance(error, FileNotFoundError) or status == "404":
            return Missing(f"{self.url}: could not {what}: there is no such object.")
        if status in ("401", "403"):
            return BadInput(
                f"{self.url}: {_where()} refused to {what} ({answer}). Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY "
                "and AWS_SESSION_TOKEN, and that they may do so."
            )
        if status.startswith("3") or code in ("AuthorizationHeaderMalformed", "IllegalLocationConstraintException"):
            return BadInput(f"{self.url}: {_where()} says the bucket is elsewhere ({answer}). Check AWS_REGION.")
        if not status and re.search(r"credential|metadata|token", said.partition("Debug source")[0], re.IGNORECASE):
            return BadInput(f"{self.url}: there are no keys for it. {_SET_KEYS}")
        if not status and "kind: Connect" in said:
            return BadInput(f"{self.url}: {_where()} cannot be reached. Check AWS_ENDPOINT_URL and the network.")
        if answer:
            happened = f"{_where()} answered {answer}"
        elif re.search(r"HTTP error|error (?:sending|decoding)", said):
            happened = "the connection broke"
        else:
            return StoreFailed(f"{self.url}: could not {what}: {_where()} does not answer as S3 does.")
        return StoreFailed(f"{self.url}: could not {what}: {happened}, also when asked again. Try again later.")


_SET_KEYS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN where it is a session's)."


def _look_for_keys() -> None:
    """Refuse what is certain to lack keys; keep those there are out of every text.

    Raises:
        BadInput: only half of a pair is there, or nothing and the machine's own role is not to be asked.
    """
    hide(*(os.environ[name] for name in _SECRETS if os.environ.get(name)))
    identity, secret = (bool(os.environ.get(name)) for name in _SECRETS[:2])
    alone = not (identity or secret or any(os.environ.get(name) for name in _ROLES))
    # An empty key counts as a key with the client, which then does not ask the machine's role.
    nobody = os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true" or "AWS_ACCESS_KEY_ID" in os.environ
    if identity != secret or (alone and nobody):
        raise BadInput(f"{VARIABLE} is set, and there are no keys for it. {_SET_KEYS}")


def _client(bucket: str, prefix: str | None, endpoint: str) -> S3Store:
    try:
        from obstore.store import S3Store
    except ImportError:
        raise BadInput(
            f"{VARIABLE} is set, and what speaks to object stores is not installed: pip install 'oretrace[s3]'"
        ) from None
    options: Any = {
        "allow_http": endpoint.startswith("http://"), "connect_timeout": "10s", "read_timeout": "2m", "timeout": "10m"
    }  # fmt: skip
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    try:
        return S3Store(bucket, prefix=prefix, region=region, client_options=options, retry_config=_RETRY)
    except Exception as error:
        raise BadInput(
            f"the AWS_* variables cannot be used: {type(error).__name__}. See docs/object-storage.md"
        ) from None


def _where() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "the server"


def _code(error: Exception) -> str:
    """Return the one word by which S3 names an error; the rest of its answer may hold keys and signatures."""
    match = re.search(r"<Code>([A-Za-z0-9]{1,60})</Code>", str(error))
    return match[1] if match else ""


def _status(error: Exception) -> str:
    match = re.search(r"status code: (\d{3})", str(error))
    return match[1] if match else ""


def _stays_inside(name: str) -> bool:
    return bool(name) and not name.startswith("/") and not {"", ".", ".."} & set(name.split("/")) and "\\" not in name


def _side_by_side(do: Any, names: Iterable[str]) -> None:
    """Do it for every name, a few at a time; the first that fails ends it."""
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        waiting = [pool.submit(do, name) for name in names]
        try:
            for item in waiting:
                item.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
