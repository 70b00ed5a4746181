"""Zip archives are looked at before they are unpacked, and nothing half-written remains."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from ingest.errors import OretraceError, SourceChanged
from ingest.net.archive import Limits, Member, extract, members, unpacked

ROWS = b"t,i,j,k,v,q\n" + b"".join(b"2024,%d,842,850511,%d.5,NA\n" % (n % 240, n * 7919) for n in range(20_000))


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """A folder within the test's own, so that what lands beside it is seen, and other tests' files are not."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def pack(path: Path, *entries: tuple[zipfile.ZipInfo | str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for info, content in entries:
            file.writestr(info, content, compress_type=method)
    return path


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def patch(path: Path, field: str, value: int) -> None:
    """Change a field of the only member in both of its headers, as a liar would."""
    at = {"crc": (14, 16), "packed": (18, 20), "size": (22, 24), "flags": (6, 8), "method": (8, 10)}[field]
    raw = bytearray(path.read_bytes())
    for start, offset in ((0, at[0]), (raw.rindex(b"PK\x01\x02"), at[1])):
        struct.pack_into("<H" if field in {"flags", "method"} else "<I", raw, start + offset, value)
    path.write_bytes(raw)


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def refused(tmp_path: Path, archive: Path, match: str, **limits: float) -> None:
    """It is refused, and nothing but the archive is there afterwards."""
    before = files_in(tmp_path.parent)
    with pytest.raises(SourceChanged, match=match) as caught:
        extract(archive, tmp_path / "out", limits=Limits(**limits))  # type: ignore[arg-type]
    assert str(archive) in str(caught.value)
    assert files_in(tmp_path.parent) == before


def test_an_archive_unpacks_to_the_bytes_that_went_in(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", ("rows.csv", ROWS), ("sub/", b""), ("sub/Länder.csv", b"x"), ("empty.txt", b""))
    assert members(archive) == [Member("rows.csv", len(ROWS)), Member("sub/Länder.csv", 1), Member("empty.txt", 0)]
    found = extract(archive, tmp_path / "out")
    assert [str(path.relative_to(tmp_path / "out")) for path in found] == ["rows.csv", "sub/Länder.csv", "empty.txt"]
    assert [path.read_bytes() for path in found] == [ROWS, b"x", b""]
    assert files_in(tmp_path) == ["a.zip", "out", "out/empty.txt", "out/rows.csv", "out/sub", "out/sub/Länder.csv"]


def test_an_archive_inside_an_archive_stays_a_file(tmp_path: Path) -> None:
    inner = pack(tmp_path / "inner.zip", ("../escape", b"x")).read_bytes()
    archive = pack(tmp_path / "a.zip", ("inner.zip", inner))
    assert [path.read_bytes() for path in extract(archive, tmp_path / "out")] == [inner]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/passwd", "absolute path"),
        ("../up.csv", r"'\.\.' in the path"),
        ("a/../../up.csv", r"'\.\.' in the path"),
        ("..", r"'\.\.' in the path"),
        ("a\\..\\up.csv", "back-slash"),
        ("\\\\host\\share", "back-slash"),
        ("C:/up.csv", "drive letter"),
        ("c:up.csv", "drive letter"),
        ("a//b.csv", "empty part"),
        ("./b.csv", "empty part"),
        ("a\nb.csv", "control character"),
    ],
)
def test_a_name_that_may_lead_elsewhere_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    info = zipfile.ZipInfo("x")
    info.filename = name
    refused(tmp_path, pack(tmp_path / "a.zip", ("good.csv", b"1"), (info, b"2")), reason)


def test_a_name_cut_short_by_a_zero_byte_is_refused(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", ("good.csv#evil", b"1"))
    archive.write_bytes(archive.read_bytes().replace(b"good.csv#", b"good.csv\0"))
    refused(tmp_path, archive, "control character")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    archive = pack(tmp_path / "a.zip", (special("link", kind | 0o777), b"/etc/passwd"))
    refused(tmp_path, archive, "'link'.*link or device")


def test_plain_files_with_rights_are_not_taken_for_links(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", (special("a.csv", stat.S_IFREG | 0o644), b"1"))
    assert extract(archive, tmp_path / "out")[0].read_bytes() == b"1"


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "names", [("a.csv", "a.csv"), ("a.csv", "A.CSV"), ("é.csv", "e\u0301.csv"), ("a", "a/"), ("straße", "STRASSE")]
)
def test_two_members_that_are_one_file_somewhere_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    refused(tmp_path, pack(tmp_path / "a.zip", *((name, b"") for name in names)), "the same path as")


def test_a_file_that_is_also_a_folder_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, pack(tmp_path / "a.zip", ("A/b.csv", b"1"), ("a", b"2")), "'A/b.csv'.*lies in 'a'")


@pytest.mark.parametrize("flag", [0x1, 0x41])
def test_an_encrypted_member_is_refused(tmp_path: Path, flag: int) -> None:
    archive = pack(tmp_path / "a.zip", ("a.csv", ROWS))
    patch(archive, "flags", flag)
    refused(tmp_path, archive, "'a.csv': encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bounds_are_refused(tmp_path: Path, method: int) -> None:
    refused(tmp_path, pack(tmp_path / "a.zip", ("a.csv", ROWS), method=method), f"method {method}, not stored")


def test_more_members_than_the_limit_are_refused(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", *((f"{n}.csv", b"") for n in range(11)))
    assert len(members(archive, limits=Limits(members=11))) == 11
    refused(tmp_path, archive, "11 members, more than the limit of 10", members=10)


def test_more_bytes_than_the_limit_are_refused(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", ("a.csv", ROWS), ("b.csv", ROWS))
    assert len(members(archive, limits=Limits(size=2 * len(ROWS)))) == 2
    refused(tmp_path, archive, "more than the limit", size=2 * len(ROWS) - 1)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    refused(tmp_path, pack(tmp_path / "a.zip", ("zeros", bytes(20_000_000))), r"'zeros': unpacks from .* 100 times")


def test_members_that_share_packed_bytes_are_refused(tmp_path: Path) -> None:
    # One packed body, pointed at by many entries of the directory: each alone is within the ratio.
    archive = pack(tmp_path / "a.zip", ("0.csv", ROWS))
    raw = archive.read_bytes()
    start, end = raw.index(b"PK\x01\x02"), raw.index(b"PK\x05\x06")
    entry, count = raw[start:end], 2000
    names = [f"{n:05}".encode() for n in range(count)]
    directory = b"".join(entry[:28] + struct.pack("<H", 5) + entry[30:46] + name for name in names)
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(directory), start, 0)
    archive.write_bytes(raw[:start] + directory + tail)
    refused(tmp_path, archive, "unpacks to more than 100 times its size")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("crc", 1, "damaged .*CRC"),
        ("size", len(ROWS) + 1, "damaged .*bytes where its directory declares"),
        ("size", len(ROWS) - 1, "damaged"),
        ("packed", 2000, "damaged"),
    ],
)
def test_headers_that_lie_are_found_out(tmp_path: Path, field: str, value: int, reason: str) -> None:
    archive = pack(tmp_path / "a.zip", ("a.csv", ROWS))
    patch(archive, field, value)
    refused(tmp_path, archive, reason)
    with pytest.raises(SourceChanged, match=reason), unpacked(archive, "a.csv", folder=tmp_path):
        pytest.fail("a damaged member was handed out")
    assert files_in(tmp_path) == ["a.zip"]


def test_damage_in_the_last_member_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", ("good.csv", ROWS), ("bad.csv", b"unpacked as it is"), method=zipfile.ZIP_STORED)
    archive.write_bytes(archive.read_bytes().replace(b"unpacked as", b"unpacked AS"))
    refused(tmp_path, archive, r"'bad\.csv': damaged .*CRC")


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 and no more"])
def test_what_is_no_archive_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    refused(tmp_path, tmp_path / "a.zip", "not a readable zip archive")


def test_every_truncation_is_found_out(tmp_path: Path) -> None:
    whole = pack(tmp_path / "a.zip", ("a.csv", ROWS[:3000]), ("b.csv", ROWS[:50])).read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "a.zip").write_bytes(whole[:length])
        refused(tmp_path, tmp_path / "a.zip", "not a readable zip archive")


def test_a_folder_that_holds_something_is_not_unpacked_into(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", ("a.csv", b"new"))
    (tmp_path / "out").mkdir()
    assert [path.read_bytes() for path in extract(archive, tmp_path / "out")] == [b"new"]
    with pytest.raises(OretraceError, match="there already"):
        extract(archive, tmp_path / "out")


def test_one_member_is_there_only_while_it_is_read(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", ("sub/a.csv", ROWS), ("b.csv", b"1"))
    with unpacked(archive, "sub/a.csv", folder=tmp_path) as path:
        assert (path.name, path.read_bytes()) == ("a.csv", ROWS)
        assert sorted(one.name for one in tmp_path.rglob("*.csv")) == ["a.csv"]
    assert files_in(tmp_path) == ["a.zip"]
    with pytest.raises(KeyError), unpacked(archive, "b.csv", folder=tmp_path):
        raise KeyError
    assert files_in(tmp_path) == ["a.zip"]


def test_a_member_that_is_not_there_is_named_beside_those_that_are(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", ("a.csv", b"1"))
    with pytest.raises(SourceChanged, match=r"'b\.csv': no such member; it holds a\.csv"), unpacked(archive, "b.csv"):
        pytest.fail("no such member")


def test_a_large_member_unpacks_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    read = zipfile.ZipExtFile.read

    def watched(self: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
        chunk = read(self, n)
        sizes.append(len(chunk))
        return chunk

    monkeypatch.setattr(zipfile.ZipExtFile, "read", watched)
    content = io.BytesIO(ROWS * 10).getvalue()
    with unpacked(pack(tmp_path / "a.zip", ("a.csv", content)), "a.csv") as path:
        assert path.stat().st_size == len(content) == sum(sizes)
    assert max(sizes) <= 2**20 < len(content)
