"""Small files that claim to be huge, or unpack to it: read in a process of limited memory, they are refused."""

import gzip
import io
import json
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest
from conftest import ROOT
from raw_birds import PHOTOS, names, write_cub
from raw_files import idx, write_svhn
from small_files import MNIST_IMAGES, SVHN
from tiny import ENVIRONMENT

from mmvae.data import cub, matlab

pytestmark = pytest.mark.faults

FIRST = names()["train"][0]
MEMORY = 1 << 30  # bytes that reading may take, besides what the modules do
ZEROS = 16 << 20  # bytes in one of the 256 pieces of a bomb
READ_BOMBS = """
import json, resource, sys
from pathlib import Path
import psutil
from mmvae.data import birds, cub, digits, mnist_svhn

folder, memory = Path(sys.argv[1]), int(sys.argv[2])
if sys.platform == "linux":  # which alone keeps to it
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + memory,) * 2)
readers = {
    "mnist": lambda folder: mnist_svhn.read_mnist(folder, "train"),
    "svhn": lambda folder: mnist_svhn.read_svhn(folder, "train"),
    "names": cub.read_names,
    "images": lambda folder: list(cub.read_images(folder, [sys.argv[3]])),
    "digits": digits.read_raw,
}
for path in sorted(folder.iterdir()):
    try:
        readers[path.name.split("-")[0]](path)
        print(json.dumps([path.name, "nothing", "it was read"]))
    except Exception as error:
        print(json.dumps([path.name, type(error).__name__, str(error)]))
"""


def write_idx_bombs(folder):
    gzipped = gzip.compress(bytes(ZEROS))
    small = gzip.compress(idx(2051, np.zeros((1, 28, 28), np.uint8)))
    for name, content in {
        "mnist-claimed": gzip.compress(struct.pack(">4I", 2051, 2**32 - 1, 28, 28)),
        "mnist-unpacked": small + gzipped * 256,
    }.items():
        (folder / name).mkdir()
        (folder / name / MNIST_IMAGES).write_bytes(content)


def write_mat_bombs(folder):
    """Zeros as one deflated stream, and a header that claims as many cells as fit in no memory."""
    packer = zlib.compressobj(wbits=-15)
    tag = packer.compress(struct.pack("<II", 14, 2**32 - 8)) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(ZEROS)) + packer.flush(zlib.Z_FULL_FLUSH)
    stream = b"\x78\x9c" + tag + zeros * 256
    write_svhn(folder / "svhn-unpacked")
    path = folder / "svhn-unpacked" / SVHN
    path.write_bytes(path.read_bytes()[:128] + struct.pack("<II", 15, len(stream)) + stream)
    write_svhn(folder / "svhn-claimed")
    path = folder / "svhn-claimed" / SVHN
    path.write_bytes(path.read_bytes()[:128] + struct.pack("<II", 14, 2**32 - 8) + bytes(64))


def write_cub_bombs(folder):
    write_cub(folder / "names-unpacked")
    path = folder / "names-unpacked" / cub.IMAGES
    path.write_bytes(path.read_bytes() + gzip.compress(bytes(ZEROS)) * 256)
    chunks = {b"IHDR": struct.pack(">2I5B", 60_000, 60_000, 8, 2, 0, 0, 0), b"IDAT": zlib.compress(bytes(9))}
    image = b"\x89PNG\r\n\x1a\n"
    for kind, chunk in chunks.items():
        image += struct.pack(">I", len(chunk)) + kind + chunk + struct.pack(">I", zlib.crc32(kind + chunk))
    write_cub(folder / "images-claimed", images={f"{PHOTOS}{FIRST}.jpg": image})


def write_npz_bombs(folder):
    for name in ("digits-claimed", "digits-unpacked"):
        (folder / name).mkdir()
    np.savez_compressed(folder / "digits-unpacked/handwritten.npz", a=np.zeros(ZEROS, np.uint8))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**11,)})
    with zipfile.ZipFile(folder / "digits-claimed/handwritten.npz", "w") as file:
        file.writestr("a.npy", header.getvalue())


def test_bombs(tmp_path, fault):
    for write in (write_idx_bombs, write_mat_bombs, write_cub_bombs, write_npz_bombs):
        write(tmp_path)
    arguments = [sys.executable, "-c", READ_BOMBS, tmp_path, str(MEMORY), FIRST]
    done = subprocess.run(arguments, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = {name: rest for name, *rest in map(json.loads, done.stdout.splitlines())}
    for name, message in {
        "mnist-claimed": "the header claims 3367254359280 bytes",
        "mnist-unpacked": "more bytes of data, but the header says",
        "svhn-claimed": "a variable claims 4294967288 bytes",
        "svhn-unpacked": f"has more than {matlab.LIMIT} bytes",
        "names-unpacked": "more than padding follows the end marker",
        "images-claimed": "exceeds limit",
        "digits-claimed": "cannot be read as arrays",
        "digits-unpacked": "is compressed",
    }.items():
        with fault(f"data: bomb, {name.rpartition('-')[2]} size"):
            assert found[name][0] == "FileError"
            assert message in found[name][1]
            assert str(tmp_path / name) in found[name][1]
