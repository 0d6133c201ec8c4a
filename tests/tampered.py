"""Files that are well-formed, but not what the project writes, and the one line that refuses them."""

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file

from mmvae import files
from mmvae.files import FileError


def refusal(read, path: Path, kind: type = FileError) -> str:
    """The one line, naming the file, with which `read` refuses."""
    with pytest.raises(kind) as error:
        read()
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def same(found: dict, expected: dict) -> bool:
    """The same names, types, shapes and numbers."""
    described = ({n: (str(v.dtype), tuple(v.shape), v.tolist()) for n, v in of.items()} for of in (found, expected))
    return next(described) == next(described)


def write_signed(path: Path, weights: dict, config: dict) -> Path:
    """Weights as the project writes them, without its own checks."""
    weights = {name: tensor.contiguous() for name, tensor in weights.items()}
    content = {"sha256": files._checksum(weights, config), "config": config}
    save_file(weights, path, {"config": json.dumps(content)})
    return path
