"""Files that are truncated or missing, and weights and checkpoints of another model."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tampered import refusal, write_unchecked
from toys import toy_model, toy_pairs, untrained_classifiers

from mmvae import classifiers, extractor, files, losses, models
from mmvae.config import DIGIT_SETS
from mmvae.training import loop
from mmvae.training.checkpoints import Checkpoint

pytestmark = pytest.mark.faults

CPU = torch.device("cpu")
TENSORS = {
    "conv.weight": torch.arange(36, dtype=torch.float32).view(3, 3, 2, 2) / 7,
    "norm.count": torch.tensor(5),
    "empty": torch.zeros(0, 4),
}
ARRAYS = {"train/images": np.arange(48, dtype=np.uint8).reshape(2, 2, 3, 4), "words": np.array(["<pad>", "wren"])}
CONFIG = {"model": "vae", "likelihood_scale": 0.75, "modalities": {"a": "grey"}}
SMALL = {"latents": 2, "hidden": 8, "channels": 2}


@pytest.mark.parametrize("name", ["w.safetensors", "a.npz", "a.json"])
def test_truncated_files(name, tmp_path, fault):
    path = tmp_path / name
    write, read = {
        "w.safetensors": (lambda: files.write_weights(path, TENSORS, CONFIG), files.read_weights),
        "a.npz": (lambda: files.write_arrays(path, ARRAYS), files.read_arrays),
        "a.json": (lambda: files.write_json(path, CONFIG), files.read_json),
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


@pytest.mark.parametrize("read", [files.read_weights, files.read_arrays, files.read_json, files.read_csv])
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
        ({"channels": 10**8}, ["(2, 3, 4, 4)", "(100000000, 3, 4, 4)"]),  # petabytes, if they were made
        ({"hidden": 10**12}, ["(8, 784)", "(1000000000000, 784)"]),
    ],
)
def test_weights_of_another_size(kind, size, shapes, tmp_path, fault):
    trained = toy_model(kind, **SMALL)
    path = write_unchecked(tmp_path / "0.safetensors", trained.state_dict(), trained.config.as_dict() | size)
    with fault(f"weights: of another size{'' if max(size.values()) < 10**8 else ', huge'}"):
        message = refusal(lambda: models.load(path), path)
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
    return extractor.untrained(extractor.ExtractorConfig("layer1", "imagenet", 32), 0)


@pytest.mark.parametrize("how", TOLD)
def test_a_tensor_too_few_or_too_many_or_of_another_type(how, network, tmp_path, fault):
    kinds, path = DIGIT_SETS["digits"], tmp_path / "w.safetensors"
    model, config = toy_model(**SMALL), vars(network.config)
    judges = classifiers._tensors(untrained_classifiers("digits"))
    saved = {
        "model": (model.state_dict(), model.config.as_dict(), lambda: models.load(path)),
        "classifiers": (judges, {}, lambda: classifiers.load(path, kinds, CPU)),
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
    classifiers.save(path, untrained_classifiers("digits"))
    turned = dict(zip(DIGIT_SETS["digits"], reversed(DIGIT_SETS["digits"].values()), strict=True))
    with fault("weights: of another size"):
        message = refusal(lambda: classifiers.load(path, turned, CPU), path)
        assert "lenet.handwritten.conv1.weight is float32 (10, 1, 5, 5) in the file and float32 (10, 3," in message
    with fault("weights: of other modalities"):
        refusal(lambda: classifiers.load(path, DIGIT_SETS["mnist_svhn"], CPU), path)
    write_unchecked(path, network.state_dict(), vars(network.config) | {"layer": "layer2"})
    with fault("weights: of another size"):
        message = refusal(lambda: extractor.load(path, CPU), path)
        assert "mean is float32 (256,) in the file and float32 (512,) in the model" in message


GOOD = toy_model(**SMALL).config.as_dict()
NO_MODEL = [
    *({"latents": value} for value in (-1, 0, 2.5, 1e300, "2", None, [2])),
    *({"modalities": value} for value in ({}, [], None, {"a": "sound"}, {"a.b": "grey"}, {"a": "features"}, 3)),
    *({"channels": value} for value in (-2, "two", 10**30)),
    *({"likelihood": "none"}, {"model": "gan"}, {"model": []}, {"options": None, "modalities": {"f": "features"}}),
    {"surprise": 1},
    {"options": {"captions": {"embedding": 7}}, "modalities": {"captions": "captions"}},
]


@pytest.mark.parametrize("change", NO_MODEL, ids=str)
def test_a_configuration_of_no_model(change, tmp_path, fault):
    path = write_unchecked(tmp_path / "0.safetensors", toy_model(**SMALL).state_dict(), GOOD | change)
    with fault("weights: a configuration of no model"):
        refusal(lambda: models.load(path), path)


PHASES = [losses.Phase(losses.ImportanceElbo("importance_elbo", "loose", 1))]
BUDGET = loop.Budget(epochs=2, pairs_per_epoch=32, batch_size=16, learning_rate=5e-3)


def train(model, checkpoint, pairs=BUDGET.pairs_per_epoch):
    budget = loop.Budget(BUDGET.epochs, pairs, BUDGET.batch_size, BUDGET.learning_rate)
    return loop.train(model, PHASES, toy_pairs(), toy_pairs(20), budget, 0, "a run", checkpoint)


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
    write_signed(path, files.read_weights(path)[0], content)
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
