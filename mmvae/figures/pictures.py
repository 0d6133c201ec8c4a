"""What figures show of modalities: images as they are, and of other kinds what their `pictures` draws."""

from collections.abc import Mapping

import numpy as np

from mmvae import registry


def shown(kinds: Mapping[str, str], values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Of the modalities that can be shown, the values (..., *shape) as images (..., C, H, W).

    kinds: modality -> kind. Images stay as they are.
    """
    found = {name: registry.find("kinds", kinds[name]) for name in values}
    images = {name: values[name] for name, kind in found.items() if hasattr(kind, "SHAPE")}
    images |= {name: kind.pictures(values[name]) for name, kind in found.items() if hasattr(kind, "pictures")}
    return {name: images[name] for name in values if name in images}
