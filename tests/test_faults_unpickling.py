"""Nothing in the project unpickles what it did not just write itself."""

import hashlib
import io
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tampered import refusal
from unpickling import ALLOWED, uses

from mmvae import extractor, files, models

pytestmark = pytest.mark.faults

CHOSEN = extractor.ExtractorConfig("layer1", "imagenet", 32)


class Payload:
    """What unpickles it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def payload(tmp_path):
    """A payload that works, and the file that would give it away."""
    trace = tmp_path / "it ran"
    pickle.loads(pickle.dumps(Payload(trace)))
    trace.unlink()
    return Payload(trace), trace


def test_an_array_of_objects_is_not_unpickled_and_not_pickled(payload, tmp_path, fault):
    evil, trace = payload
    path = tmp_path / "a.npz"
    np.savez(path, a=np.ones(3), b=np.array([evil], dtype=object))
    with fault("arrays: a pickle inside"):
        refusal(lambda: files.read_arrays(path), path)
    path.write_bytes(pickle.dumps(evil))
    with fault("arrays: a pickle in place of them"):
        refusal(lambda: files.read_arrays(path), path)
    path.unlink()
    with fault("arrays: Python objects to be written"):
        refusal(lambda: files.write_arrays(path, {"a": np.array([evil, {}], dtype=object)}), path)
    assert not path.exists()
    assert not trace.exists()


def test_a_pickle_in_place_of_weights_is_not_unpickled(payload, tmp_path, fault):
    evil, trace = payload
    path, archive = tmp_path / "w.safetensors", io.BytesIO()
    torch.save({"weight": torch.zeros(2), "evil": evil}, archive)
    for content in (pickle.dumps(evil), archive.getvalue()):
        path.write_bytes(content)
        for read in (files.read_weights, models.load):
            with fault("weights: a pickle in place of them"):
                refusal(lambda read=read: read(path), path)
    assert not trace.exists()


@pytest.fixture
def quickly(monkeypatch):
    """No fresh weights: networks whose weights are replaced at once are made in no time."""
    for name in ("kaiming_normal_", "kaiming_uniform_", "uniform_"):
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *args, **more: tensor)


@pytest.fixture
def published(quickly, tmp_path, monkeypatch):
    """Put something in the place of torchvision's weights, by its name the right one: in a mirror."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))

    def publish(content: object) -> Path:
        saved = io.BytesIO()
        torch.save(content, saved)
        path = tmp_path / f"resnet101-{hashlib.sha256(saved.getvalue()).hexdigest()[:8]}.pth"
        path.write_bytes(saved.getvalue())
        weights = SimpleNamespace(url=f"http://127.0.0.1:9/{path.name}")
        monkeypatch.setattr(extractor, "ResNet101_Weights", {"IMAGENET1K_V1": weights})
        return path

    return publish


@pytest.fixture(scope="module")
def official():
    """What a file of torchvision's would hold, as far as layer1."""
    with torch.device("meta"):
        own = extractor.Extractor(CHOSEN).state_dict()
    names = {name: extractor._official_name(name) for name in own if name not in ("mean", "std")}
    return {names[name]: torch.rand(own[name].shape).to(own[name].dtype) for name in names}


def trained(path: Path) -> dict:
    return extractor.trained(CHOSEN, "IMAGENET1K_V1", str(path.parent)).state_dict()


def test_malicious_weights_of_torchvision_are_not_unpickled(payload, official, published, fault):
    evil, trace = payload
    path = published(official | {"evil": evil})
    with fault("torchvision's weights: a payload inside"):
        assert "weights to none" in refusal(lambda: trained(path), path.name, extractor.WeightsError)
    assert not trace.exists()


def test_torchvision_s_weights_that_do_not_fit(official, published, fault):
    found = trained(published(official))
    assert all(torch.equal(found[n], official[extractor._official_name(n)]) for n in found if n not in ("mean", "std"))
    last = "layer1.2.bn3.running_var"
    wrong = {
        "stem.0.weight is float32 (3, 3) in the file and float32 (64,": official | {"conv1.weight": torch.zeros(3, 3)},
        f"layers.{last} is missing in the file": {name: official[name] for name in official if name != last},
        "'int'": 5,
        "'list'": official | {"conv1.weight": [1]},
    }
    for told, content in wrong.items():
        path = published(content)
        with fault("torchvision's weights: of another network"):
            assert told in refusal(lambda path=path: trained(path), path.name, extractor.WeightsError)


def test_torchvision_s_weights_damaged_where_torch_keeps_them(official, published, tmp_path, fault):
    path = published(official)
    trained(path)
    kept = tmp_path / "home/hub/checkpoints" / path.name
    content = bytearray(kept.read_bytes())
    content[content.index(official["conv1.weight"].numpy().tobytes()) + 50] ^= 1  # still well-formed
    kept.write_bytes(content)
    with fault("torchvision's weights: damaged in torch's cache"):
        assert "remove it" in refusal(lambda: trained(path), kept, extractor.WeightsError)


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "import shelve as s",
        "import numpy as np\nnp.load('a.npz', allow_pickle=True)",
        "import numpy\nnumpy.lib.format.read_array(f, allow_pickle=True)",
        "from numpy import load\nload('a.npz')",
        "import torch\ntorch.load('a')",
        "import torch\ntorch.hub.load_state_dict_from_url('a', weights_only=False)",
        "import yaml\nyaml.load(text, yaml.Loader)",
        "from yaml import unsafe_load\nunsafe_load(text)",
        "import joblib\njoblib.load('a')",
        "import pandas as pd\npd.read_pickle('a')",
        "from gensim.models import FastText\nFastText.load('a')",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "import subprocess\nsubprocess.getoutput('ls')",
        "import os\nos.system('ls')",
        "eval('1')",
        "exec('1')",
        "__import__('pickle')",
    ],
)
def test_the_search_for_unpickling_finds_it(line, tmp_path, fault):
    (tmp_path / "module.py").write_text(line)
    with fault("code: something that unpickles or runs text"):
        assert {call for _, call in uses(tmp_path)} - {call for _, call in ALLOWED}


def test_nothing_in_the_project_unpickles_what_it_did_not_just_write():
    root = Path(files.__file__).parents[1]
    assert set(uses(root, "mmvae", "stages", "studies", "benchmarks")) == set(ALLOWED)
