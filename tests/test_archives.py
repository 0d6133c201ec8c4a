"""Archives: what is in them comes out in order, and whatever is wrong with one is named."""

import gzip
import tarfile

import pytest
from mutations import time_limit
from raw_birds import write_tar

from mmvae.data import archives
from mmvae.files import FileError

FILES = [("a/first.txt", b"one"), ("./b/second.txt", b"two" * 5000), ("third.txt", b""), ("a/" + "n" * 200, b"long")]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.tar.gz"


def refused(path, match, **options):
    with pytest.raises(FileError, match=match) as error:
        list(archives.members(path, **options))
    message = str(error.value)
    assert str(path) in message
    assert "remove the file and download it again" in message
    assert "\n" not in message


def test_files_come_in_order_and_folders_do_not(path):
    write_tar(path, FILES)
    assert list(archives.members(path)) == [(name.removeprefix("./"), content) for name, content in FILES]


def test_what_is_not_wanted_is_named_and_not_read(path):
    write_tar(path, FILES)
    found = dict(archives.members(path, limit=3, wanted=lambda name: name == "a/first.txt"))
    assert found == {"a/first.txt": b"one", "b/second.txt": None, "third.txt": None, "a/" + "n" * 200: None}


def test_nothing_is_written(path, tmp_path):
    list(archives.members(write_tar(path, FILES)))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["../../x", "a/../../x", "/etc/x", "..", "a/.."])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE])
@pytest.mark.faults
def test_names_that_lead_out(path, fault, name, kind):
    info = tarfile.TarInfo(name)
    info.type = kind
    write_tar(path, [*FILES, (info, b"")])
    with fault("archives: absolute name" if name.startswith("/") else "archives: path traversal"):
        refused(path, rf"member '{name}' leads out of the archive; do not trust")


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("symbolic link", tarfile.SYMTYPE),
        ("hard link", tarfile.LNKTYPE),
        ("pipe", tarfile.FIFOTYPE),
        ("device", tarfile.CHRTYPE),
        ("device", tarfile.BLKTYPE),
        ("unknown type", b"?"),
    ],
)
@pytest.mark.faults
def test_what_is_no_file(path, fault, what, kind):
    info = tarfile.TarInfo("odd\nname")
    info.type, info.linkname = kind, "/etc/passwd"
    write_tar(path, [*FILES, (info, b"")])
    with fault(f"archives: {what}"):
        refused(path, r"member 'odd\\nname' is a link, a device or a pipe; do not trust")


@pytest.mark.faults
def test_too_large(path, fault, monkeypatch):
    write_tar(path, FILES)
    with fault("archives: bomb, one large member"):
        refused(path, r"member '\./b/second.txt' has 15000 bytes, more than 14999; do not trust", limit=14_999)
    assert len(list(archives.members(path, limit=15_000))) == len(FILES)
    monkeypatch.setattr(archives, "TOTAL_LIMIT", 5 * 512 + 15_000 - 1)  # two folders, a file of one block, a header
    with fault("archives: bomb, all members"):
        refused(path, "up to member 'b/second.txt' it unpacks to more than 17559 bytes", wanted=lambda _: False)
    monkeypatch.undo()
    monkeypatch.setattr(archives, "HEADERS_LIMIT", 2048)
    with fault("archives: bomb, many headers"):
        refused(path, "up to member 'b/second.txt' its headers have over 2048 bytes", wanted=lambda _: False)


@pytest.mark.faults
def test_a_name_twice(path, fault):
    write_tar(path, [*FILES, ("b/second.txt", b"other")])
    with fault("archives: name there twice"):
        refused(path, "member 'b/second.txt' is there twice")


@pytest.mark.faults
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "cannot be unpacked, at its beginning"),
        (b"<html>not found</html>", "Not a gzipped file"),
        (gzip.compress(b"no archive at all" * 100, mtime=0), "cannot be unpacked, at its beginning"),
    ],
)
def test_missing_empty_and_foreign(path, fault, content, message):
    if content is not None:
        path.write_bytes(content)
    with fault("archives: missing or no archive"):
        refused(path, message)


@pytest.mark.faults
def test_truncated_anywhere(path, fault):
    """Not even a cut between two members passes for the end."""
    whole = write_tar(path, FILES).read_bytes()
    for cut in range(0, len(whole), 3):
        path.write_bytes(whole[:cut])
        with fault("archives: truncated gzip"):
            refused(path, "cannot be unpacked")


@pytest.mark.faults
def test_truncated_before_it_was_zipped(path, fault):
    size = len(gzip.decompress(write_tar(path, FILES).read_bytes()))
    used = (
        3 * 512 + sum(512 + -(-len(content) // 512) * 512 for _, content in FILES) + 1024
    )  # folders, files, long name
    for cut in range(0, used, 256):
        write_tar(path, FILES, squeeze=lambda data, cut=cut: gzip.compress(data[:cut]))
        with fault("archives: truncated tar, zipped again"):
            refused(path, "cannot be unpacked")
    assert used < size


@pytest.mark.faults
@pytest.mark.parametrize("chunk", [512, archives.CHUNK])  # the rest behind the end marker is read later, or at once
def test_a_wrong_checksum(path, fault, monkeypatch, chunk):
    monkeypatch.setattr(archives, "CHUNK", chunk)
    whole = bytearray(write_tar(path, FILES).read_bytes())
    whole[-8] ^= 1
    path.write_bytes(whole)
    with fault("archives: wrong checksum"):
        refused(path, "cannot be unpacked, .*: CRC check failed")


def header(name, size=0, kind=tarfile.REGTYPE):
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def extension(*records, kind=tarfile.XHDTYPE):
    """Records such as 'size=1' in a header that extends the next one, or all that follow."""
    lines = [f" {record}\n".encode() for record in records]
    content = b"".join(b"%d%s" % (len(line) + 2, line) for line in lines)  # of lengths with two digits
    return header("x", len(content), kind) + content + bytes(-len(content) % 512)


NUMBERS = b"1" * archives.HEADER_LIMIT
TWICE = "is there twice|invalid header"  # Python 3.11.2 refuses the header, later ones the member after it
SPARSE = ("GNU.sparse.major=1", "GNU.sparse.minor=0")


@pytest.mark.parametrize(
    ("what", "content", "message"),
    [
        ("header of a megabyte", header("x", 1 << 20, tarfile.XHDTYPE) + b"1" * (1 << 20), "a header claims 1048576"),
        ("header slow to read", header("x", len(NUMBERS), tarfile.XHDTYPE) + NUMBERS + header("a"), TWICE),
        ("negative size", header("a", -1024), "a header claims -1024 bytes"),
        ("negative size", extension("size=-1") + header("a"), "member 'a' is sparse, or of -1 bytes"),
        ("negative size", extension("size=-1", kind=tarfile.XGLTYPE) + header("a"), "is sparse, or of -1 bytes"),
        ("size of an exabyte", header("a", 1 << 80), "a header claims 1208925819614629174706176 bytes"),
        (
            "size of an exabyte",
            extension("size=1", kind=tarfile.XGLTYPE) + header("a", 1 << 80),
            "a header claims 1208925819614629174706176 bytes",
        ),
        ("sparse file", header("a", 0, tarfile.GNUTYPE_SPARSE), "a header of a sparse file"),
        ("sparse file", extension(*SPARSE) + header("a", 512) + b"9\n" * 256, "a header of a sparse file"),
        ("sparse file", extension("GNU.sparse.map=0,1") + header("a", 512) + bytes(512), "member 'a' is sparse"),
        ("end marker in the middle", bytes(512) + header("b"), "more than padding follows the end marker"),
        ("data behind the end", bytes(archives.CHUNK) + b"x", "more than padding follows the end marker"),
        ("bomb, padding", bytes(2 * archives.CHUNK), "more than padding follows the end marker"),
    ],
)
@pytest.mark.faults
def test_headers_that_lie(path, fault, what, content, message):
    path.write_bytes(gzip.compress(header("a") * (message == TWICE) + content + bytes(1024)))
    with fault(f"archives: {what}"), time_limit():
        refused(path, message)
