"""Which bytes of a release a certificate may vouch for: its DuckDB file, or all of its Parquet files together.

What belongs here: the one rule, with the standard library alone (``oretrace run`` asks before it imports anything).
What does not: hashing files, writing certificates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

DATABASE = "oretrace.duckdb"


def hash_of_listing(hashes: Mapping[str, str]) -> str:
    """Return one hash for files by name, as ``sha256sum`` of a list that ``sha256sum`` printed."""
    listing = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(listing.encode()).hexdigest()


def vouched(certified: object, listed: Mapping[str, str]) -> bool:
    """Tell whether a certified hash is that of what a release lists.

    Args:
        certified: ``candidate_sha256`` of the certificate.
        listed: hash of each file of the release, by its path there.
    """
    marts = {name: digest for name, digest in listed.items() if name.endswith(".parquet") and "/" not in name}
    return certified is not None and certified in (listed.get(DATABASE), hash_of_listing(marts) if marts else None)
