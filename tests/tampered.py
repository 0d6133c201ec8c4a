"""Files that are well-formed, but not what the project writes, and the one line that refuses them."""

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file

from mmvae.files import FileError


def refusal(read, path: Path, kind: type = FileError) -> str:
    """The one line, naming the file, with which `read` refuses."""
    with pytest.raises(kind) as error:
        read()
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def write_unchecked(path: Path, weights: dict, config: dict) -> Path:
    """Weights as the project writes them, without its own checks."""
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, path, {"config": json.dumps(config)})
    return path
