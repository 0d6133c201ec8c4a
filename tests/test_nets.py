"""Layers that are computed in another way than torch's are the same layers."""

import pytest
import torch
from torch import nn

from mmvae.kinds.colour import Decoder
from mmvae.layers import FromOnePixel, ToFewChannels


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize(
    ("layer", "plain", "shape"),
    [
        (FromOnePixel(7, 12, 4), nn.ConvTranspose2d(7, 12, 4), (7,)),
        (ToFewChannels(6, 3), nn.ConvTranspose2d(6, 3, 4, 2, 1), (6, 5, 8)),
    ],
    ids=["FromOnePixel", "ToFewChannels"],
)
def test_values_and_gradients_equal_those_of_a_transposed_convolution(layer, plain, shape, batch, generator):
    layer, plain = layer.double(), plain.double()
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(batch, *shape, generator=generator, dtype=torch.float64)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    actual = layer(ours)
    expected = plain(theirs if len(shape) == 3 else theirs[:, :, None, None])
    torch.testing.assert_close(actual, expected)
    weights = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    found = torch.autograd.grad((actual * weights).sum(), [ours, *layer.parameters()])
    wanted = torch.autograd.grad((expected * weights).sum(), [theirs, *plain.parameters()])
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)


def test_the_decoder_keeps_the_names_of_its_weights():
    assert {name.split(".")[0] for name in Decoder(4, 4).state_dict()} == {f"upconv{i}" for i in range(1, 5)}
