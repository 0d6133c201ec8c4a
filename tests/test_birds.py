"""The painted birds, and what captioned photographs of any set go through."""

import numpy as np
import pytest
from PIL import Image

from mmvae.data import photographs, text
from mmvae.datasets import birds
from mmvae.files import DataError
from mmvae.metrics.captions import attributes


@pytest.fixture(scope="module")
def made():
    return birds.make()


@pytest.mark.slow
def test_sizes_and_repeatability(made):
    again = birds.make()
    for part, count in birds.BIRDS.items():
        assert made[f"{part}/images"].shape == (count, 3, 64, 64)
        assert made[f"{part}/captions"].shape == (count, 10)
        assert made[f"{part}/attributes"].shape == (count, len(birds.ATTRIBUTES))
    assert all(np.array_equal(made[key], again[key]) for key in made)


def test_training_and_test_birds_share_no_combination_of_colours(made):
    seen = {part: {tuple(row[:3]) for row in made[f"{part}/attributes"]} for part in birds.BIRDS}
    assert not seen["train"] & seen["test"]
    for part in birds.BIRDS:
        for column, values in zip(made[f"{part}/attributes"].T, birds.ATTRIBUTES.values(), strict=True):
            assert set(column) == set(range(len(values)))


def test_captions_state_the_bird_s_own_attributes(made):
    for part in birds.BIRDS:
        truth = made[f"{part}/attributes"]
        for i in range(10):
            stated = attributes.stated(made[f"{part}/captions"][:, i].tolist())
            right = stated == truth
            assert right[stated >= 0].all()
            assert (stated >= 0).sum(1).min() >= 2  # patterns state three; a spelling fault may hide one
    assert all(birds.mentioned(pattern.format(**one_of_each())) for pattern in birds.PATTERNS)


def one_of_each():
    return {name: values[0] for name, values in birds.ATTRIBUTES.items()}


def test_a_few_words_are_misspelt_and_rare(made):
    words = text.vocabulary((text.tokenise(c) for c in made["train/captions"].ravel()), 0)
    frequent = text.vocabulary((text.tokenise(c) for c in made["train/captions"].ravel()), 100)
    rare = set(words) - set(frequent)
    assert len(rare) > 20
    assert all(any(sorted(word) == sorted(right) for right in frequent) for word in rare)


@pytest.mark.parametrize("part", ["crown", "wings", "belly"])
def test_a_part_s_colour_is_where_the_part_is(part):
    """Two birds that differ in one part differ in pixels of that part's colours only."""
    grey = Image.new("RGB", (64, 64), (128, 128, 128))
    pictures = {
        colour: birds.paint(one_of_each() | {part: colour}, grey, np.random.default_rng(0)).astype(int)
        for colour in ("black", "white")
    }
    changed = np.abs(pictures["black"] - pictures["white"]).max(-1) > 100
    assert 40 < changed.sum() < 1200
    assert (pictures["white"][changed].mean(0) > 150).all()


def test_the_reader_of_the_raw_file(tmp_path, made):
    birds.write_raw(tmp_path)
    names = birds.read_names(tmp_path)
    assert {part: len(some) for part, some in names.items()} == birds.BIRDS
    wanted = [names["test"][7], names["train"][3]]
    pictures = dict(birds.read_images(tmp_path, wanted))
    np.testing.assert_array_equal(np.asarray(pictures[wanted[1]]).transpose(2, 0, 1), made["train/images"][3])
    assert birds.read_captions(tmp_path, wanted)[0] == made["test/captions"][7].tolist()
    np.testing.assert_array_equal(birds.read_attributes(tmp_path, wanted)[1], made["train/attributes"][3])


@pytest.mark.parametrize(("count", "share", "held"), [(100, 0.1, 10), (7, 0.01, 1), (281, 0.1, 28)])
def test_held_out_photographs_are_spread_and_nothing_is_lost(count, share, held):
    names = [f"{i:03d}" for i in range(count)]
    train, validation = photographs.hold_out(names, share)
    assert len(validation) == held
    assert sorted(train + validation) == names
    assert train == sorted(train)
    if held > 1:
        assert max(np.diff([int(name) for name in validation])) <= np.ceil(count / (held - 1)) + 1


def test_one_photograph_cannot_be_split():
    with pytest.raises(DataError, match="1 photographs cannot be split"):
        photographs.hold_out(["only"], 0.1)


def test_small_photographs_are_central_squares():
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[:, 32:96] = 200
    assert (photographs.small(Image.fromarray(picture)) == 200).all()
    assert photographs.small(Image.new("RGB", (300, 200))).shape == (3, 64, 64)
    already = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    np.testing.assert_array_equal(photographs.small(Image.fromarray(already)), already.transpose(2, 0, 1))


def test_photographs_that_come_in_any_order_are_put_in_order():
    found = [("b", np.array([2])), ("c", np.array([3])), ("a", np.array([1]))]
    np.testing.assert_array_equal(photographs.in_order(found, ["a", "b", "c"])[:, 0], [1, 2, 3])
