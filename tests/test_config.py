"""params.yaml: what is accepted, and one line for everything that is not."""

import copy
import typing
from dataclasses import fields, is_dataclass

import numpy as np
import pytest
import yaml
from conftest import ROOT
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import load_yaml

from mmvae import config, parameters

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


def changed(changes: dict) -> dict:
    """The committed parameters with some others, by key."""
    content = copy.deepcopy(PARAMS)
    for key, value in changes.items():
        *path, last = key.split(".")
        section = content
        for name in path:
            section = section[name]
        section[last] = value
    return content


def load(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return config.load(path)


def test_the_committed_file_is_valid():
    params = config.load(ROOT / "params.yaml")
    assert params.digit_sets == ("digits",)
    assert params.caption_sets == ("birds",)
    assert params.networks["cub"].latents == 128
    assert params.train["mnist_svhn"].particles == 30


def test_what_dvc_writes_is_what_is_read(tmp_path):
    """YAML 1.1 reads DVC's 1e-05 as text; DVC and this project do not."""
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text())
    changes = ["train.digits.learning_rate=1e-05", "seeds=[1,0]", "train.birds.pairs_per_epoch=null"]
    apply_overrides(str(path), [*changes, "download.mirror='/a mirror/ü'"])
    assert "learning_rate: 1e-05\n" in path.read_text()
    params = config.load(path)
    assert params.train["digits"].learning_rate == load_yaml(str(path))["train"]["digits"]["learning_rate"] == 1e-5
    assert params.seeds == (1, 0)
    assert params.train["birds"].pairs_per_epoch is None
    assert params.download.mirror == "/a mirror/ü"


def leaves(kind: type, at: tuple[str, ...] = ()):
    """Path, type and rule of every leaf that a dataclass allows."""
    hints = typing.get_type_hints(kind)
    for rule in fields(kind):
        path, hint = (*at, rule.name), hints[rule.name]
        if is_dataclass(hint):
            yield from leaves(hint, path)
        elif "sections" in rule.metadata:
            for name, inside in rule.metadata["sections"].items():
                yield from leaves(inside, (*path, name))
        else:
            yield path, hint, rule.metadata


def committed(content=PARAMS, at: tuple[str, ...] = ()):
    """Path and value of every leaf of the committed file."""
    for name, value in content.items():
        yield from committed(value, (*at, name)) if isinstance(value, dict) else [((*at, name), value)]


def test_every_number_has_both_ends():
    """Those of the committed file, and those that may be null."""
    rules = {path: rule for path, _, rule in leaves(config.Params)}
    assert set(rules) == {path for path, _ in committed()}
    for path, value in committed():
        value = value[0] if isinstance(value, list) else value
        if (type(value) in (int, float) or path[-1] == "pairs_per_epoch") and path[-1] != "embedding":
            assert rules[path]["minimum"] < rules[path]["maximum"] < 2**32, path
    assert {hint for _, hint, rule in leaves(config.Params) if "maximum" not in rule and "choices" not in rule} == {
        bool,
        str | None,
    }


def test_seeds_end_where_generators_do():
    assert {rule["maximum"] for path, _, rule in leaves(config.Params) if "seed" in path[-1]} == {2**32 - 1}
    np.random.RandomState(2**32 - 1)  # gensim's
    with pytest.raises(ValueError, match=r"2\*\*32"):
        np.random.RandomState(2**32)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("objective", "drge", "elbo, importance_elbo, iwae, stl_iwae, dreg_iwae, dreg_mixture"),
        ("objective", ["iwae"], "elbo"),
        ("objective", None, "elbo"),
        ("train.digits.epochs", -1, "an integer from 1 to 10000"),
        ("train.digits.epochs", 1.5, "an integer"),
        ("train.digits.epochs", True, "an integer"),
        ("train.digits.epochs", None, "an integer"),
        ("train.digits.learning_rate", "fast", "a number from"),
        ("train.digits.learning_rate", float("nan"), "a number from"),
        ("train.digits.learning_rate", 2, "a number from"),
        ("train.digits.pairs_per_epoch", 0, "an integer from 1 to 10000000 or null"),
        ("train.digits", 3, "a section with the keys epochs"),
        ("data.mnist_svhn.validation_share", 0.9, "a number from 0.01 to 0.5"),
        ("mvae.digits.likelihood", "gauss", "laplace, bernoulli"),
        ("download.mirror", 7, "text"),
        ("download.mirror", "", "text"),
        ("digit_sets", ["digitz"], "digits, mnist_svhn"),
        ("digit_sets", [], "a list of 1 to 100 values"),
        ("digit_sets", "digits", "a list"),
        ("seeds", list(range(101)), "a list of 1 to 100 values"),
        ("train.digits.learning_rate", "'0.001'", "a number from"),
        ("download.mirror", "x" * 1001, "text of 1 to 1000 printable characters or null"),
        ("download.mirror", "/mirror\n", "printable"),
        ("caption_sets", ["cups"], "birds, cub"),
        ("caption_sets", [], "a list of 1 to 100 values"),
        ("caption_images", ["grey"], "features, pixels"),
        ("captions.birds.min_count", -1, "an integer from 0 to 1000"),
        ("features.birds.layer", "layer5", "layer1, layer2, layer3, layer4"),
        ("features.birds.weights", None, "none, IMAGENET1K_V1"),
        ("features.birds.standardise", 1, "true or false"),
        ("features.cub.size", 8, "an integer from 32 to 1024"),
        ("fasttext.birds.seeds", [], "a list of 1 to 100 values"),
        ("networks.birds.captions.embedding", 48, "32, 64, 128, 256"),
        ("networks.birds.captions.embedding", True, "32, 64, 128, 256"),
        ("networks.birds.captions.scored", "padding", "words, released"),
        ("networks.birds.pixels", None, "a section with the keys channels"),
        ("seeds", [0, 0], "each value once"),
        ("seeds", [2**32], "an integer from 0 to 4294967295"),
        ("seeds", [], "a list of 1 to 100 values"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(tmp_path, key, value, allowed):
    with pytest.raises(parameters.ParamsError) as error:
        load(tmp_path, changed({key: value}))
    message = str(error.value)
    assert key in message
    assert allowed in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data.digits.images_per_digit": 12},
            "data.digits.pairings is 20; allowed: at most 12, because data.digits.images_per_digit is 12",
        ),
        (
            {"cca.birds.components": 32},
            "cca.birds.components is 32; allowed: at most 31, because fasttext.birds.dimensions is 32",
        ),
        (
            {"train.cub.batch_size": 10_000, "train.cub.particles": 101},
            "train.cub.particles is 101; allowed: at most 100, because train.cub.batch_size is 10000",
        ),
        (
            {"features.cub.layer": "layer4", "features.cub.size": 32},
            "features.cub.size is 32; allowed: more than 32, because features.cub.layer is layer4",
        ),
    ],
)
def test_values_that_do_not_go_together(tmp_path, changes, message):
    with pytest.raises(parameters.ParamsError) as error:
        load(tmp_path, changed(changes))
    assert str(error.value).endswith(f"params.yaml: {message}")


def test_values_that_just_go_together(tmp_path):
    changes = {
        "data.digits.images_per_digit": 20,
        "cca.birds.components": 31,
        "train.cub.batch_size": 10_000,
        "train.cub.particles": 100,
        "features.birds.layer": "layer4",
        "features.birds.size": 33,
        "features.cub.layer": "layer4",
        "features.cub.size": 32,
        "features.cub.weights": "IMAGENET1K_V1",
    }
    params = load(tmp_path, changed(changes))
    assert params.cca["birds"].components == 31
    assert params.train["cub"].batch_size * params.train["cub"].particles == 1_000_000


def test_unknown_and_missing_keys(tmp_path):
    with pytest.raises(parameters.ParamsError, match=r"unknown key 'train.digits.epoch'; allowed: epochs"):
        load(tmp_path, changed({"train.digits.epoch": 3}))
    content = copy.deepcopy(PARAMS)
    del content["mvae"]["digits"]["likelihood"]
    with pytest.raises(parameters.ParamsError, match=r"missing key 'mvae.digits.likelihood'"):
        load(tmp_path, content)


@pytest.mark.parametrize("text", ["", "a: [1", "- 1", "\x00", "objective: !!python/object:os.system {}"])
def test_a_file_that_is_not_parameters(tmp_path, text):
    with pytest.raises(parameters.ParamsError) as error:
        load(tmp_path, text)
    assert "\n" not in str(error.value)


def test_no_file(tmp_path):
    with pytest.raises(parameters.ParamsError, match="cannot be read"):
        config.load(tmp_path / "params.yaml")
