"""The third modality: names of digits, what reads them, and how they are drawn."""

import numpy as np
import pytest
import torch
from toys import toy_model

from mmvae import registry
from mmvae.data.names import ALPHABET, LENGTH, NAMES, digit_names, starts, written
from mmvae.evaluation.classifiers import predict
from mmvae.kinds import text

EVERY = [(digit, start) for digit in range(10) for start in range(starts(digit))]


def read(value):
    return "".join(ALPHABET[i] for i in value)


def test_a_name_stands_among_spaces():
    assert read(written(3, 2)) == "  three "
    assert read(written(0, 0)) == "zero    "
    assert len({read(written(*one)) for one in EVERY}) == 50
    for digit, start in EVERY:
        assert read(written(digit, start)).strip() == NAMES[digit]


def test_texts_have_all_digits_from_all_places():
    parts = digit_names({"train": 2000, "test": 600}, seed=0)
    for part, count in (("train", 2000), ("test", 600)):
        values, labels = parts[part]
        assert values.shape == (count, LENGTH) and values.dtype == np.int32
        assert (np.bincount(labels) == count // 10).all()
        assert [read(value).strip() for value in values] == [NAMES[digit] for digit in labels]
    assert {read(value) for value in parts["train"][0]} == {read(written(*one)) for one in EVERY}
    assert (digit_names({"train": 2000, "test": 600}, seed=0)["test"][0] == parts["test"][0]).all()


def test_the_judge_reads_every_name_and_forgives_a_character():
    judge, rng = text.Judge(), np.random.default_rng(0)
    texts = np.stack([written(*one) for one in EVERY])
    labels = np.array([digit for digit, _ in EVERY])
    assert (predict(judge, torch.from_numpy(texts).long()).numpy() == labels).all()
    for value, label in zip(texts, labels, strict=True):
        for place in np.flatnonzero(value == 0):  # a letter too many, beside the name
            other = value.copy()
            other[place] = ALPHABET.index("q")
            assert judge(torch.from_numpy(other[None]).long())[0, label] == LENGTH - 1
    noise = rng.integers(0, len(ALPHABET), (5000, LENGTH))
    assert judge(torch.from_numpy(noise)).max() < LENGTH


def test_letters_that_are_drawn_evenly_have_the_likelihood_of_the_alphabet():
    modality = toy_model("vae", {"a": "text"}).modalities["a"]
    for parameter in modality.decoder.output.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.from_numpy(np.stack([written(*one) for one in EVERY])).long()
    expected = torch.full((50,), -LENGTH * float(np.log(len(ALPHABET))))
    torch.testing.assert_close(modality.log_likelihood(torch.randn(50, 4), x), expected)


def test_pictures_tell_texts_apart():
    texts = np.stack([written(*one) for one in EVERY]).reshape(5, 10, LENGTH)
    images = text.pictures(texts)
    assert images.shape == (5, 10, 1, *text.PICTURE)
    assert images.min() >= 0 and images.max() <= 1
    assert len(np.unique(images.reshape(50, -1), axis=0)) == 50


@pytest.mark.parametrize("name", ["digits_text", "mnist_svhn_text"])
def test_a_set_with_names_has_the_images_of_the_one_without(name, monkeypatch):
    data = registry.find("datasets", name)
    own = registry.find("datasets", name.removesuffix("_text"))
    images = {one: {"train": (np.zeros(3), np.arange(3))} for one in own.MODALITIES}
    monkeypatch.setattr(own, "read_raw", lambda folder: images)
    read_raw = data.read_raw("anywhere")
    assert list(read_raw) == list(data.MODALITIES) == [*own.MODALITIES, "names"]
    assert {key: read_raw[key] for key in images} == images
    values, labels = read_raw["names"]["test"]
    assert [read(value).strip() for value in values[:30]] == [NAMES[digit] for digit in labels[:30]]
