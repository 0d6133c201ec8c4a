"""Files that are truncated, missing, not finite or of another model: one line that names the file."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tampered import refusal, write_unchecked
from toys import toy_config, toy_model, toy_pairs, untrained_classifiers

from mmvae import files, model, registry
from mmvae.evaluation import classifiers, extractor
from mmvae.extractors import resnet101
from mmvae.losses import Phase
from mmvae.models.mmvae import ImportanceElbo
from mmvae.training import loop
from mmvae.training.checkpoints import Checkpoint

CPU = torch.device("cpu")
TENSORS = {
    "conv.weight": torch.arange(36, dtype=torch.float32).view(3, 3, 2, 2) / 7,
    "norm.count": torch.tensor(5),
    "empty": torch.zeros(0, 4),
}
ARRAYS = {"train/images": np.arange(48, dtype=np.uint8).reshape(2, 2, 3, 4), "words": np.array(["<pad>", "wren"])}
SMALL = {"latents": 2, "hidden": 8, "channels": 2}
CONFIG = toy_config(**SMALL).as_dict()
KINDS = registry.find("datasets", "digits").MODALITIES


@pytest.mark.parametrize("name", ["w.safetensors", "a.npz"])
def test_truncated_files(name, tmp_path, fault):
    path = tmp_path / name
    write, read = {
        "w.safetensors": (lambda: files.write_weights(path, TENSORS, CONFIG), files.read_weights),
        "a.npz": (lambda: files.write_arrays(path, ARRAYS), files.read_arrays),
    }[name]
    write()
    read(path)
    whole = path.read_bytes().rstrip()
    for cut in range(0, len(whole), 3):
        path.write_bytes(whole[:cut])
        with fault("every file: truncated"):
            assert "remove it and run `dvc repro`" in refusal(lambda: read(path), path)


@pytest.mark.parametrize("metadata", [None, {}, {"config": "{"}])
def test_weights_without_a_configuration(metadata, tmp_path, fault):
    path = tmp_path / "w.safetensors"
    save_file(TENSORS, path, metadata)
    with fault("weights: no configuration"):
        refusal(lambda: files.read_weights(path), path)


@pytest.mark.parametrize("read", [files.read_weights, files.read_arrays, files.read_csv])
@pytest.mark.parametrize(("what", "content"), [("missing", None), ("empty", b""), ("something else", b"PK\x03\x04")])
def test_nothing_to_read(read, what, content, tmp_path, fault):
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with fault(f"every file: {what}"):
        message = refusal(lambda: read(path), path)
        assert message.endswith("run `dvc repro`")
        assert ("remove it" in message) == (content is not None)


@pytest.mark.parametrize("kind", ["mmvae", "mvae"])
@pytest.mark.parametrize(
    ("size", "shapes"),
    [
        ({"channels": 4}, ["(2, 3, 4, 4)", "(4, 3, 4, 4)"]),
        ({"latents": 3}, [" (2,", " (3,"]),
        ({"channels": 256, "hidden": 10_000}, ["(8, 784)", "(10000, 784)"]),
    ],
)
def test_weights_of_another_size(kind, size, shapes, tmp_path, fault):
    trained, other = toy_model(kind, **SMALL), toy_config(kind, **SMALL | size)
    path = write_unchecked(tmp_path / "0.safetensors", trained.state_dict(), other.as_dict())
    with fault("weights: of another size"):
        message = refusal(lambda: model.load(path), path)
        assert all(shape in message for shape in shapes)
        assert " in the file and " in message


def changed(weights: dict, how: str) -> dict:
    """The same with one tensor less, more, or of another type."""
    first = next(iter(weights))
    return {
        "missing": {name: tensor for name, tensor in weights.items() if name != first},
        "extra": weights | {"more.weight": torch.zeros(7, 5)},
        "of another type": weights | {first: weights[first].double()},
    }[how]


TOLD = {"missing": "is missing in the file", "extra": "more.weight is float32 (7, 5)", "of another type": "is float64"}


@pytest.fixture(scope="module")
def network():
    return resnet101.untrained(resnet101.Config("layer1", "imagenet", 32), 0)


@pytest.mark.parametrize("how", TOLD)
def test_a_tensor_too_few_or_too_many_or_of_another_type(how, network, tmp_path, fault):
    path, small, config = tmp_path / "w.safetensors", toy_model(**SMALL), vars(network.config)
    judges = classifiers.joined(untrained_classifiers("digits")).state_dict()
    saved = {
        "model": (small.state_dict(), small.config.as_dict(), lambda: model.load(path)),
        "classifiers": (judges, {"width": 8}, lambda: classifiers.load(path, KINDS, CPU)),
        "extractor": (network.state_dict(), config, lambda: extractor.load(path, CPU)),
    }
    for weights, config, load in saved.values():
        write_unchecked(path, weights, config)
        load()
        write_unchecked(path, changed(weights, how), config)
        with fault(f"weights: a tensor {how}"):
            assert TOLD[how] in refusal(load, path)


def test_classifiers_and_extractor_of_another_size(network, tmp_path, fault):
    path = tmp_path / "w.safetensors"
    classifiers.save(path, untrained_classifiers("digits"), 8)
    turned = dict(zip(KINDS, reversed(KINDS.values()), strict=True))
    with fault("weights: of another size"):
        message = refusal(lambda: classifiers.load(path, turned, CPU), path)
        assert "lenet.handwritten.conv1.weight is float32 (10, 1, 5, 5) in the file and float32 (10, 3," in message
    with fault("weights: of other modalities"):
        refusal(lambda: classifiers.load(path, {"mnist": "grey", "svhn": "colour"}, CPU), path)
    write_unchecked(path, classifiers.joined(untrained_classifiers("digits")).state_dict(), {})
    with fault("weights: classifiers of an older version"):
        assert "does not say how wide" in refusal(lambda: classifiers.load(path, KINDS, CPU), path)
    write_unchecked(path, network.state_dict(), vars(network.config) | {"layer": "layer2"})
    with fault("weights: of another size"):
        message = refusal(lambda: extractor.load(path, CPU), path)
        assert "mean is float32 (256,) in the file and float32 (512,) in the model" in message


NO_MODEL = [
    *({"latents": value} for value in (0, 2.5, "2", None, 10**30)),
    *({"kinds": value} for value in ([], None, {"a": "sound"}, {"a.b": "grey"})),
    *({"networks": {"grey": value}} for value in ({"hidden": -2}, {"surprise": 1}, None)),
    *({"model": "gan"}, {"model": []}, {"surprise": 1}),
]


@pytest.mark.parametrize("change", NO_MODEL, ids=str)
def test_a_configuration_of_no_model(change, tmp_path, fault):
    path = write_unchecked(tmp_path / "0.safetensors", toy_model(**SMALL).state_dict(), CONFIG | change)
    with fault("weights: a configuration of no model"):
        refusal(lambda: model.load(path), path)


PHASES = [Phase(ImportanceElbo("importance_elbo", "loose", 1))]
BUDGET = loop.Budget(epochs=2, pairs_per_epoch=32, batch_size=16, learning_rate=5e-3)


def train(trained, checkpoint):
    return loop.train(trained, PHASES, toy_pairs(), toy_pairs(20), BUDGET, 0, "a run", checkpoint)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The bytes of a checkpoint, and what it is of."""
    path = tmp_path_factory.mktemp("checkpoint") / "run.safetensors"
    train(toy_model(**SMALL), Checkpoint(path, seconds=0))
    return path.read_bytes()


def test_a_checkpoint_of_another_model(checkpoint, tmp_path, fault):
    path = tmp_path / "run.safetensors"
    path.write_bytes(checkpoint)
    with fault("checkpoint: of another size"):
        message = refusal(lambda: train(toy_model(**SMALL | {"channels": 4}), Checkpoint(path)), path)
        assert "remove it to start over" in message
        assert "(2, 3, 4, 4) in the file and float32 (4, 3, 4, 4) in the model" in message
        assert "dvc repro" not in message


@pytest.mark.parametrize("lost", ["generator", "sums", "model/prior_scale_logits"])
def test_a_checkpoint_with_a_tensor_missing(lost, checkpoint, tmp_path, fault):
    path = tmp_path / "run.safetensors"
    path.write_bytes(checkpoint)
    tensors, content = files.read_weights(path)
    write_unchecked(path, {name: tensor for name, tensor in tensors.items() if name != lost}, content)
    with fault("checkpoint: a tensor missing"):
        assert f"{lost} is missing" in refusal(lambda: train(toy_model(**SMALL), Checkpoint(path)), path)


@pytest.mark.parametrize("content", [{}, [], {"step": 3}, {"step": 3, "curve": 7}, {"step": "x", "curve": []}], ids=str)
def test_a_checkpoint_that_says_nothing_of_progress(content, checkpoint, tmp_path, fault):
    path = tmp_path / "run.safetensors"
    path.write_bytes(checkpoint)
    write_unchecked(path, files.read_weights(path)[0], content)
    with fault("checkpoint: no progress"):
        assert "remove it to start over" in refusal(lambda: train(toy_model(**SMALL), Checkpoint(path)), path)


def test_an_optimiser_of_another_shape(checkpoint, tmp_path, fault):
    path = tmp_path / "run.safetensors"
    path.write_bytes(checkpoint)
    tensors, content = files.read_weights(path)
    name = "optimiser/exp_avg/prior_scale_logits"
    write_unchecked(path, tensors | {name: torch.zeros(9)}, content)
    with fault("checkpoint: of another size"):
        message = refusal(lambda: train(toy_model(**SMALL), Checkpoint(path)), path)
        assert f"{name} is float32 (9,) in the file and float32 (2,) in the model" in message


def test_a_damaged_checkpoint(checkpoint, tmp_path, fault):
    path = tmp_path / "run.safetensors"
    for cut in range(0, len(checkpoint), len(checkpoint) // 20):
        path.write_bytes(checkpoint[:cut])
        with fault("checkpoint: truncated"):
            assert "remove it to start over" in refusal(lambda: train(toy_model(**SMALL), Checkpoint(path)), path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_neither_written_nor_read(value, tmp_path, fault):
    path, weights = tmp_path / "w.safetensors", {"fine": torch.ones(2), "layer.bias": torch.tensor([1.0, value])}
    with fault("weights: NaN or infinity to be written"):
        message = refusal(lambda: files.write_weights(path, weights, {}), path)
        assert "'layer.bias' holds NaN or infinity" in message
        assert "lower its learning rate" in message
        assert not any(tmp_path.iterdir())
    write_unchecked(path, weights, {})
    with fault("weights: NaN or infinity to be read"):
        assert "'layer.bias' holds NaN or infinity" in refusal(lambda: files.read_weights(path), path)
    with fault("arrays: NaN or infinity to be written"):
        path = tmp_path / "a.npz"
        assert "'b' holds NaN" in refusal(lambda: files.write_arrays(path, {"a": [1.0], "b": [1.0, value]}), path)
        assert not path.exists()


@pytest.mark.parametrize("content", ["", "epoch\n", "epoch\n1,2\n3,4,5\n", "epoch\n\xff\n"])
def test_damaged_numbers(content, tmp_path, fault):
    path = tmp_path / "file"
    path.write_bytes(content.encode("latin-1"))
    with fault("metrics and curves: damaged"):
        assert "remove it and run `dvc repro`" in refusal(lambda: files.read_csv(path), path)


NO_NUMBERS = [float("nan"), np.float32("-inf"), torch.tensor([0.0, np.nan]), np.array([[np.inf]]), 1j, b"bytes", {1, 2}]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=str)
def test_what_is_no_finite_number_is_not_written(value, tmp_path, fault):
    path = tmp_path / "a.json"
    files.write_json(path, {"kept": 1})
    with fault("metrics and curves: no number to be written"):
        for content in ({"a": value}, {"a": {"b": [0, value]}}):
            refusal(lambda content=content: files.write_json(path, content), path)
        assert json.loads(path.read_text()) == {"kept": 1}
        assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("rows", [[{"a": 1}, {"b": 1}], [{"a": 1}, {"a": 1, "b": 2}]], ids=str)
def test_rows_that_make_no_table(rows, tmp_path, fault):
    with fault("metrics and curves: rows that make no table"):
        refusal(lambda: files.write_csv(tmp_path / "a.csv", rows), tmp_path / "a.csv")
        assert not any(tmp_path.iterdir())
