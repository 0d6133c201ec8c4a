"""The losses of Figure 2's systems against those of MultiVae, an independent package, on the same numbers, in float64.

Recorded with multivae 1.0.3 and pythae 0.1.2 (`pip install --no-deps multivae==1.0.3 pythae==0.1.2`, then what they
import) on torch 2.12.1, NumPy 2.4.6 and Python 3.11: the loss that a model's `forward` returns, and its gradient with
respect to what the encoders put out. An encoder put out fixed numbers, a decoder was linear with a Laplace likelihood
of scale 0.75, and likelihoods were rescaled by MultiVae's own default. `noise` is what its `rsample` drew, as (z - loc)
/ scale, in our order. JMVAE was called after its warm-up; MoPoE on three copies of the pairs, since it decodes each
third of a batch from another subset; MMVAE+ with `iwae_looser`. The numbers of CVAEs are for test_cvae.py.

Two differences are left, of at most 1e-7 of a loss: MultiVae adds 1e-8 to variances in the products of MVTCAE and
MoPoE, and 1e-6 to the scales of MMVAE+'s priors. Without them, all but 1e-15 of every loss agrees.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from toys import toy_model

from mmvae.losses import Setting, phases
from mmvae.modality import LaplaceLikelihood, Modality
from mmvae.model import gaussian

REFERENCE = Path(__file__).parent / "multivae_reference.npz"
NAMES = ("a", "b")  # of 3 and 5 values
ONE = torch.ones((), dtype=torch.float64)
OPTIONS = {  # model -> what it was recorded with; all have 4 latents that both modalities share
    "jmvae": {"alpha": 0.7},
    "mvtcae": {"alpha": 5 / 6, "beta": 2.5},
    "mopoe": {"beta": 2.5},
    "dmvae": {"private": 2},
    "mmvae_plus": {"private": 2},
}
PARTICLES = 3  # of MMVAE+
SUMMED = ("mmvae_plus",)  # MultiVae's other losses are means over the batch; its value is the bound here


@pytest.fixture(scope="module")
def recorded():
    with np.load(REFERENCE) as file:
        return {key: torch.from_numpy(file[key]) for key in file}


class Encoded(nn.Module):
    """An encoder that puts out what MultiVae's did, whatever it is given."""

    def __init__(self, encoded):
        super().__init__()
        self.encoded = encoded

    def forward(self, _):
        return self.encoded[0], self.encoded[1]


class JointlyEncoded(Encoded):
    """In place of JMVAE's fusion of all modalities' features."""

    def forward(self, _):
        return gaussian(*self.encoded)


def linear(weight_and_bias):
    decoder = nn.Linear(weight_and_bias.shape[1] - 1, len(weight_and_bias))
    decoder.weight = nn.Parameter(weight_and_bias[:, :-1].clone())
    decoder.bias = nn.Parameter(weight_and_bias[:, -1].clone())
    return decoder


def model_as_recorded(name, recorded, encoded):
    """Our own model with the recorded encoders, decoders and auxiliary prior. `encoded`: those of a, b and both."""
    private = OPTIONS[name].get("private", 0)
    model = toy_model(name, latents=4 + len(NAMES) * private, private=private)
    largest = max(recorded[f"x/{m}"].shape[1] for m in NAMES)
    for m, own in zip(NAMES, encoded, strict=False):
        size = recorded[f"x/{m}"].shape[1]
        decoder, likelihood = linear(recorded[f"{name}/decoder_{m}"]), LaplaceLikelihood(0.75, dimensions=1)
        model.modalities[m] = Modality(Encoded(own), decoder, likelihood, largest / size, (size,))
    if name == "jmvae":
        model.joint_encoder = JointlyEncoded(encoded[2])
    if name == "mmvae_plus":
        for m, logits in zip(NAMES, recorded["mmvae_plus/auxiliary"], strict=True):
            model.auxiliary_logits[m].data = logits
    return model.double()


def loss_and_gradient(name, recorded):
    """What MultiVae returns, from our loss."""
    (phase,) = phases(name, Setting(particles=PARTICLES), OPTIONS[name])
    encoded = recorded[f"{name}/encoded"].clone().requires_grad_()
    model = model_as_recorded(name, recorded, encoded)
    x = {m: recorded[f"x/{m}"] for m in NAMES}
    loss = replace(phase.loss, screen=None) if name in SUMMED else phase.loss
    estimate = loss(model, x, [(NAMES, recorded[f"{name}/noise"])], ONE)
    pairs = 1 if name in SUMMED else len(x["a"])
    (gradient,) = torch.autograd.grad(-estimate.surrogate / pairs, encoded)
    return -(estimate.bound.sum() if name in SUMMED else estimate.surrogate) / pairs, gradient


@pytest.mark.parametrize("name", OPTIONS)
def test_the_loss_and_its_gradient_are_those_of_multivae(name, recorded):
    loss, gradient = loss_and_gradient(name, recorded)
    torch.testing.assert_close(loss, recorded[f"{name}/loss"].reshape(()), rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient, recorded[f"{name}/gradient"], rtol=1e-5, atol=1e-5)
