"""What several tests need."""

import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("MMVAE_SHARED", ROOT.parent / "shared"))


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
