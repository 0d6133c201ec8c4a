"""MMVAE, reproduced: multimodal VAEs to build, train and measure. docs/library.md shows their use on one's own data.

Every public name is loaded when it is first used, so that a stage imports only what it needs.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Budget": "mmvae.training.loop",
    "Mixture": "mmvae.distributions",
    "ModelConfig": "mmvae.model",
    "MultimodalVAE": "mmvae.model",
    "Pairs": "mmvae.data.pairs",
    "Phase": "mmvae.losses",
    "Setting": "mmvae.losses",
    "build": "mmvae.model",
    "load": "mmvae.model",
    "phases": "mmvae.losses",
    "save": "mmvae.model",
    "train": "mmvae.training.loop",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"mmvae has no {name!r}; its public names are {', '.join(__all__)}")
    return getattr(import_module(_PUBLIC[name]), name)
