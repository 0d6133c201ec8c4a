"""Real small files whose bytes hypothesis changes: the same data, or an error that names the file, and never a hang.

Where the changed bytes are packed again under a right checksum, or where a format has none (an uncompressed Matlab
file, a photograph), nothing can tell them from another file: what is read must then be what the file says, of the
documented types, shapes and ranges.
"""

import gzip
import io
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given
from mutations import EDITS, content_or_refusal, examples, mutated
from PIL import Image
from raw_birds import CAPTIONS, LIST, PHOTOS, members, names
from small_files import (
    MNIST_IMAGES,
    MNIST_LABELS,
    SVHN,
    read_birds,
    read_cub,
    read_digits,
    read_mnist,
    read_svhn,
    write_all,
)

from mmvae.data import birds, cub, digits, text

pytestmark = pytest.mark.faults

COMPRESSED = 15  # the type of a compressed variable in a Matlab file
BLOCK = 512  # bytes, of tar
MEMBERS = {name: content for part in members() for name, content in part.items()}
FIRST = names()["train"][0]
PHOTO, CAPTION, CLASSES = f"{PHOTOS}{FIRST}.jpg", f"{CAPTIONS}{FIRST}.txt", "cvpr2016_cub/testclasses.txt"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder of whole files, and their bytes by name."""
    folder = tmp_path_factory.mktemp("whole")
    write_all(folder)
    return folder, {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}


@pytest.fixture
def change(whole):
    """A function that puts other bytes in the place of a file; the whole ones come back at the end."""
    folder, contents = whole
    yield lambda name, content: (folder / name).write_bytes(content)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def same(found, expected):
    return found.keys() == expected.keys() and all(
        found[key].dtype == expected[key].dtype and np.array_equal(found[key], expected[key]) for key in expected
    )


def squeezed(mat):
    """A Matlab file with each variable compressed."""
    file, start = mat[:128], 128
    while start < len(mat):
        end = start + 8 + struct.unpack("<I", mat[start + 4 : start + 8])[0]
        file, start = squeezed_variable(file, mat[start:end]), end
    return file


def squeezed_variable(file, variable):
    packed = zlib.compress(variable, 1)
    return file + struct.pack("<II", COMPRESSED, len(packed)) + packed


@pytest.mark.parametrize(
    ("name", "read", "what"),
    [
        (MNIST_IMAGES, read_mnist, "MNIST gzip"),
        (MNIST_LABELS, read_mnist, "MNIST gzip"),
        (SVHN, read_svhn, "compressed mat"),
        (cub.IMAGES, read_cub, "CUB gzip"),
        (cub.CAPTIONS, read_cub, "CUB gzip"),
        ("handwritten.npz", read_digits, "npz of digits"),
        ("plates.npz", read_digits, "npz of digits"),
        (birds.FILE, read_birds, "npz of birds"),
    ],
)
def test_a_checksum_tells(whole, change, fault, name, read, what):
    folder, contents = whole
    content = squeezed(contents[name]) if name == SVHN else contents[name]
    expected = read(folder)

    @examples(150)
    @given(EDITS)
    def damage(edits):
        with fault(f"mutations: {what}"):
            change(name, mutated(content, edits))
            found = content_or_refusal(lambda: read(folder), folder / name)
            assert found is None or same(found, expected)

    damage()


# How to get at bytes inside a file, and how to make a file of the whole one and other such bytes.


def gunzip(content):
    return gzip.decompress(content)


def gzip_again(content, inner):
    return gzip.compress(inner, 1)


def itself(content):
    return content


def instead(content, inner):
    return inner


def first_variable(mat):
    return mat[128 : 136 + struct.unpack("<I", mat[132:136])[0]]


def first_variable_squeezed(mat, inner):
    return squeezed_variable(mat[:128], inner) + mat[128 + len(first_variable(mat)) :]


def segment(name, content):
    """A member of a tar, with its header."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info.tobuf() + content


def tar_member(name):
    def join(content, inner):
        before, _, behind = gzip.decompress(content).partition(segment(name, MEMBERS[name]))
        behind = behind[-len(MEMBERS[name]) % BLOCK :]
        return gzip.compress(before + segment(name, inner) + bytes(-len(inner) % BLOCK) + behind, 1)

    return (lambda content: MEMBERS[name]), join


def zip_member(name):
    def split(content):
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            return file.read(name)

    def join(content, inner):
        result = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(result, "w") as new:
            for each in old.namelist():
                new.writestr(each, inner if each == name else old.read(each))
        return result.getvalue()

    return split, join


# What must be right about what is read, given the changed bytes and the folder.


def right_digits(images, labels, shape):
    assert images.dtype == labels.dtype == np.uint8
    assert images.shape == (len(labels), *shape)
    assert 0 <= labels.min() <= labels.max() <= 9


def right_mnist_images(found, idx, folder):
    right_digits(*found.values(), (1, 28, 28))
    assert found["images"].tobytes() == idx[16:]


def right_mnist_labels(found, idx, folder):
    right_digits(*found.values(), (1, 28, 28))
    assert found["labels"].tobytes() == idx[8:]


def right_svhn(found, mat, folder):
    right_digits(*found.values(), (3, 32, 32))
    assert found["images"].transpose(2, 3, 1, 0).tobytes("F") in mat


def right_plates(found, npy, folder):
    for name, shape in digits.SHAPES.items():
        for part in digits.PLATES:
            right_digits(found[f"{name}/{part}/images"], found[f"{name}/{part}/labels"], shape)
    changed = ("plates/train/images", "plates/test/labels")
    assert any(found[key].tobytes(order) in npy for key in changed for order in "CF")


def right_birds(found, npy, folder):
    count = len(found["names"])
    assert all(found[name].shape == (64, 64, 3) and found[name].dtype == np.uint8 for name in found["names"])
    assert found["captions"].shape == (count, 10)
    assert all(text.tokenise(caption) for caption in found["captions"].ravel().tolist())
    assert found["attributes"].shape == (count, 5)
    assert (found["attributes"] < [6, 6, 6, 2, 2]).all()


def right_cub(found, inner, folder):
    """Whatever is still whole in the archives is with its own name."""
    tars = b"".join(gunzip((folder / name).read_bytes()) for name in (cub.IMAGES, cub.CAPTIONS))
    names = found["names"].tolist()
    assert len(set(names)) == len(names) == len(found) - 2
    for name, captions in zip(names, found["captions"].tolist(), strict=True):
        photo, caption = f"{PHOTOS}{name}.jpg", f"{CAPTIONS}{name}.txt"
        assert found[name].dtype == np.uint8
        assert found[name].shape[2:] == (3,)
        assert len(captions) == 10
        assert all(map(text.tokenise, captions))
        if segment(photo, MEMBERS[photo]) in tars:
            with Image.open(io.BytesIO(MEMBERS[photo])) as original:
                np.testing.assert_array_equal(found[name], original)
        if segment(caption, MEMBERS[caption]) in tars:
            assert "".join(f"{line}\n" for line in captions).encode() == MEMBERS[caption]


@pytest.mark.parametrize(
    ("what", "name", "packing", "read", "right"),
    [
        ("idx images, zipped again", MNIST_IMAGES, (gunzip, gzip_again), read_mnist, right_mnist_images),
        ("idx labels, zipped again", MNIST_LABELS, (gunzip, gzip_again), read_mnist, right_mnist_labels),
        ("uncompressed mat", SVHN, (itself, instead), read_svhn, right_svhn),
        ("mat, compressed again", SVHN, (first_variable, first_variable_squeezed), read_svhn, right_svhn),
        ("CUB tar, zipped again", cub.IMAGES, (gunzip, gzip_again), read_cub, right_cub),
        ("CUB tar, zipped again", cub.CAPTIONS, (gunzip, gzip_again), read_cub, right_cub),
        ("photograph", cub.IMAGES, tar_member(PHOTO), read_cub, right_cub),
        ("list of photographs", cub.IMAGES, tar_member(LIST), read_cub, right_cub),
        ("captions", cub.CAPTIONS, tar_member(CAPTION), read_cub, right_cub),
        ("list of classes", cub.CAPTIONS, tar_member(CLASSES), read_cub, right_cub),
        ("npz of digits, zipped again", "plates.npz", zip_member("train/images.npy"), read_digits, right_plates),
        ("npz of digits, zipped again", "plates.npz", zip_member("test/labels.npy"), read_digits, right_plates),
        ("npz of birds, zipped again", birds.FILE, zip_member("train/captions.npy"), read_birds, right_birds),
        ("npz of birds, zipped again", birds.FILE, zip_member("test/attributes.npy"), read_birds, right_birds),
    ],
)
def test_no_checksum_tells(whole, change, fault, what, name, packing, read, right):
    folder, contents = whole
    split, join = packing
    inner, expected = split(contents[name]), read(folder)
    change(name, join(contents[name], inner))
    assert same(read(folder), expected)  # what is packed again unchanged is the same

    @examples(100)
    @given(EDITS)
    def damage(edits):
        with fault(f"mutations: {what}"):
            other = mutated(inner, edits)
            change(name, join(contents[name], other))
            found = content_or_refusal(lambda: read(folder), folder / name)
            if found is not None:
                right(found, other, folder)

    damage()
