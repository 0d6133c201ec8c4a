"""Fréchet distance of generated to real images in Inception v3, with torchvision's weights, where the user has them.

Close to published FIDs, but not the same: those are of another port of the network, and of more images.
"""

import torch
from torch import Tensor, nn

from mmvae.evaluation.classifiers import STRONG
from mmvae.evaluation.labelled import DigitTest
from mmvae.extractors.resnet101 import MEAN, STD
from mmvae.files import FileError
from mmvae.metrics.systems.frechet import distances
from mmvae.model import MultimodalModel

SIZE = 299  # pixels
AT_ONCE = 64  # images


class Inception(nn.Module):
    """Inception v3 up to its last hidden layer."""

    def __init__(self, path: str):
        """
        Raises:
            FileError: the file is missing, or holds no weights of torchvision's Inception v3.
        """
        from torchvision.models import inception_v3  # as in extractor.py

        super().__init__()
        self.network = inception_v3(weights=None, transform_input=True, init_weights=False)  # as with its weights
        try:
            self.network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:  # of what the file holds instead
            problem = " ".join(str(error).split())[:200]
            raise FileError(f"{path} holds no weights of torchvision's inception_v3: {problem}") from error
        self.network.fc = nn.Identity()
        self.eval().requires_grad_(False)

    def penultimate(self, images: Tensor) -> Tensor:
        """(B, C, H, W), grey or colour, in [0, 1] -> (B, 2048)."""
        from torchvision.transforms.v2 import functional

        result = []
        for part in images.split(AT_ONCE):
            larger = functional.resize(part.expand(-1, 3, -1, -1), [SIZE, SIZE], antialias=True)
            result.append(self.network(functional.normalize(larger, MEAN, STD)))
        return torch.cat(result)


def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """As of `frechet`, in the network of `evaluate.<set>.inception`."""
    if test.settings.inception is None:
        return {}
    device = next(iter(test.values.values())).device
    network = Inception(test.settings.inception).to(device)
    return distances(model, test, dict.fromkeys(test.judges[STRONG], network))
