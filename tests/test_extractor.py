"""Image features: torchvision's network up to a layer, calibration, standardisation, ImageNet weights."""

import hashlib
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from tampered import refusal

from mmvae.evaluation import extractor
from mmvae.evaluation.extractor import WeightsError
from mmvae.extractors import resnet101
from mmvae.extractors.resnet101 import Config

SMALL = Config("layer1", "imagenet", 32)


def photographs(count=40, size=(40, 50)):
    rng = np.random.default_rng(0)
    return [(f"p{i}", Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8))) for i in range(count)]


@pytest.mark.parametrize("layer", resnet101.LENGTHS)
def test_features_are_the_pooled_layer_of_torchvision_s_network(layer):
    network = resnet101.untrained(Config(layer, "released", 32), 3)
    torch.manual_seed(3)
    whole = torchvision.models.resnet101(weights=None).eval()
    x, seen = torch.rand(2, 3, 32, 32).contiguous(memory_format=torch.channels_last), []
    getattr(whole, layer).register_forward_hook(lambda *args: seen.append(args[-1].mean((2, 3))))
    with torch.no_grad():
        whole(x)
        torch.testing.assert_close(network(x), seen[0])
    assert seen[0].shape[1] == resnet101.LENGTHS[layer]


def test_untrained_weights_are_of_their_seed_and_leave_the_generator_alone():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    one, same, other = (resnet101.untrained(SMALL, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["stem.0.weight"], other["stem.0.weight"])


def test_preparation():
    x = torch.rand(1, 3, 100, 200)
    imagenet = resnet101.untrained(Config("layer1", "imagenet", 56), 0).prepared(x)
    released = resnet101.untrained(Config("layer1", "released", 56), 0).prepared(x)
    assert imagenet.shape == released.shape == (1, 3, 56, 56)
    official = torchvision.models.ResNet101_Weights.IMAGENET1K_V1.transforms()
    ours = resnet101.untrained(Config("layer1", "imagenet", 224), 0).prepared(x)
    torch.testing.assert_close(ours, official(x), atol=1e-5, rtol=0)
    assert released.min() >= 0
    assert imagenet.min() < 0


def test_calibration_is_the_mean_over_batches():
    network = resnet101.untrained(SMALL, 0)
    some = photographs()
    pixels = torch.from_numpy(np.stack([np.asarray(picture) for _, picture in some])).permute(0, 3, 1, 2) / 255
    prepared = torch.cat([network.prepared(one[None]) for one in pixels])
    with torch.no_grad():
        first = network.stem[0](prepared)
    extractor.calibrate(network, some)
    halves = [first[: extractor.BATCH], first[extractor.BATCH :]]
    expected = torch.stack([part.mean((0, 2, 3)) for part in halves]).mean(0)
    torch.testing.assert_close(network.stem[1].running_mean, expected, rtol=1e-4, atol=1e-5)
    assert not network.training


def test_photographs_and_pixels_give_the_same_features():
    network = resnet101.untrained(SMALL, 0)
    some = photographs(35, (64, 64))
    by_name = extractor.of_photographs(network, some)
    pixels = np.stack([np.asarray(picture).transpose(2, 0, 1) for _, picture in some])
    torch.testing.assert_close(torch.stack(list(by_name.values())), extractor.of_pixels(network, pixels))


def test_standardised_features(tmp_path):
    network = resnet101.untrained(SMALL, 0)
    features = torch.randn(50, 256) * 3 + 1
    features[:, 5] = 2.0
    extractor.standardise(network, features)
    standard = (features - network.mean) / network.std
    torch.testing.assert_close(standard.mean(0), torch.zeros(256), atol=1e-5, rtol=0)
    assert (standard[:, 5] == 0).all()
    others = torch.arange(256) != 5
    torch.testing.assert_close(standard.std(0)[others], torch.ones(255))
    extractor.save(tmp_path / "extractor.safetensors", network)
    loaded, x = extractor.load(tmp_path / "extractor.safetensors", torch.device("cpu")), torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(loaded(x), network(x), rtol=0, atol=0)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Weights as torchvision names and publishes them."""
    torch.manual_seed(5)
    network = torchvision.models.resnet101(weights=None).eval()
    raw = tmp_path_factory.mktemp("published") / "raw.pth"
    torch.save(network.state_dict(), raw)
    return network, raw.rename(raw.with_name(f"resnet101-{hashlib.sha256(raw.read_bytes()).hexdigest()[:8]}.pth"))


@pytest.fixture
def official(published, tmp_path, monkeypatch):
    """The same in a mirror's folder; their address leads nowhere."""
    network, path = published
    shutil.copy(path, tmp_path)
    name = path.name
    weights = SimpleNamespace(url=f"http://127.0.0.1:9/{name}")
    monkeypatch.setattr(torchvision.models, "ResNet101_Weights", {"IMAGENET1K_V1": weights})
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    return network, tmp_path / name


def test_trained_weights_from_a_mirror(official):
    network, path = official
    own = resnet101.trained(Config("layer2", "released", 32), "IMAGENET1K_V1", str(path.parent))
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        h = network.maxpool(network.relu(network.bn1(network.conv1(x))))
        torch.testing.assert_close(own(x), network.layer2(network.layer1(h)).mean((2, 3)))


def test_trained_weights_of_another_network(official):
    network, path = official
    config, weights = Config("layer1", "released", 32), network.state_dict()
    for told, content in {
        "stem.0.weight is float32 (3, 3) in the file": weights | {"conv1.weight": torch.zeros(3, 3)},
        "layers.layer1.2.bn3.running_var is missing in the file": {
            name: tensor for name, tensor in weights.items() if name != "layer1.2.bn3.running_var"
        },
    }.items():
        torch.save(content, path)
        name = f"resnet101-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth"
        torchvision.models.ResNet101_Weights["IMAGENET1K_V1"].url = f"http://127.0.0.1:9/{name}"
        path = path.rename(path.with_name(name))
        assert told in refusal(
            lambda path=path: resnet101.trained(config, "IMAGENET1K_V1", str(path.parent)), path.name, WeightsError
        )


def test_damaged_or_missing_weights_are_one_line(official):
    _, path = official
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    for mirror in (str(path.parent), None, str(path.parent / "nowhere")):
        with pytest.raises(extractor.WeightsError, match=r"resnet101-.* could not be had from") as error:
            resnet101.trained(SMALL, "IMAGENET1K_V1", mirror)
        assert "\n" not in str(error.value)
        assert "weights to none" in str(error.value)
