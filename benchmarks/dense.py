"""The formulation as published, written once more and plainly: what the product's path is measured against.

Every particle of every expert is decoded by every decoder with gradient, expert by expert, densities come from
torch.distributions, and layers are what Table 6 names. Shares no code with mmvae but the shapes of its parameters.
"""

import math

import torch
from torch import Tensor
from torch.distributions import Laplace
from torch.nn import functional

Parameters = dict[str, Tensor]  # as in the state of an MMVAE
OBJECTIVES = ("iwae", "stl_iwae", "dreg_iwae")


def parameters_of(model: torch.nn.Module, dtype: torch.dtype = torch.float32) -> Parameters:
    """Fresh leaves with the model's values, contiguous."""
    return {
        name: value.detach().to(dtype, copy=True, memory_format=torch.contiguous_format).requires_grad_()
        for name, value in model.state_dict().items()
    }


def surrogate(
    weights: Parameters, x: dict[str, Tensor], noise: Tensor, objective: str, bound: str, likelihood_scale: float
) -> Tensor:
    """The scalar whose gradient is raised, from standard `noise` (M, K, B, D) and images in [0, 1].

    iwae: eq. (3) or (5). stl_iwae: posterior parameters fixed in the densities, as released. dreg_iwae: eq. (8).
    """
    names, latents = list(x), noise.shape[-1]
    pixels = {name: image[0].numel() for name, image in x.items()}
    prior_scale = torch.softmax(weights["prior_scale_logits"], -1) * latents
    prior = Laplace(torch.zeros_like(prior_scale), prior_scale)
    posteriors = [posterior(weights, name, x[name], latents) for name in names]
    drawn = [q.loc + q.scale * noise[m] for m, q in enumerate(posteriors)]
    if objective != "iwae":
        posteriors = [Laplace(q.loc.detach(), q.scale.detach()) for q in posteriors]
    log_weights = []
    for z in drawn:
        log_joint = prior.log_prob(z).sum(-1)
        for name in names:
            mean = decode(weights, name, z.flatten(0, 1)).view(*z.shape[:2], *x[name].shape[1:])
            log_likelihood = Laplace(mean, torch.full_like(mean, likelihood_scale)).log_prob(x[name])
            scaling = max(pixels.values()) / pixels[name]
            log_joint = log_joint + scaling * log_likelihood.flatten(2).sum(-1)
        experts = torch.stack([q.log_prob(z).sum(-1) for q in posteriors])
        log_weights.append(log_joint - (experts.logsumexp(0) - math.log(len(names))))
    if bound == "tight":
        log_weights = [torch.cat(log_weights)]
    total = 0
    for m, lw in enumerate(log_weights):
        if objective == "iwae":
            total = total + lw.logsumexp(0).sum() / len(log_weights)
            continue
        share = torch.softmax(lw.detach(), 0)
        total = total + (share * lw).sum() / len(log_weights)
        if objective == "dreg_iwae":
            parts = share.split(noise.shape[1]) if bound == "tight" else [share]
            for z, part in zip(drawn if bound == "tight" else [drawn[m]], parts, strict=True):
                z.register_hook(lambda gradient, part=part: gradient * part[..., None])
    return total


def posterior(weights: Parameters, name: str, image: Tensor, latents: int) -> Laplace:
    w = {key.removeprefix(f"modalities.{name}.encoder."): value for key, value in weights.items()}
    if image.shape[1] == 1:
        h = functional.linear(image.flatten(1), w["hidden.weight"], w["hidden.bias"]).relu()
        loc, logits = (functional.linear(h, w[f"{head}.weight"], w[f"{head}.bias"]) for head in ("loc", "scale_logits"))
    else:
        h = image
        for layer in ("conv1", "conv2", "conv3"):
            h = functional.conv2d(h, w[f"{layer}.weight"], w[f"{layer}.bias"], 2, 1).relu()
        loc, logits = (
            functional.conv2d(h, w[f"{head}.weight"], w[f"{head}.bias"]).flatten(1) for head in ("loc", "scale_logits")
        )
    return Laplace(loc, torch.softmax(logits, -1) * latents + 1e-6)


def decode(weights: Parameters, name: str, z: Tensor) -> Tensor:
    w = {key.removeprefix(f"modalities.{name}.decoder."): value for key, value in weights.items()}
    if "hidden.weight" in w:
        h = functional.linear(z, w["hidden.weight"], w["hidden.bias"]).relu()
        return functional.linear(h, w["output.weight"], w["output.bias"]).sigmoid().clamp(1e-6, 1 - 1e-6)
    h = functional.conv_transpose2d(z[:, :, None, None], w["upconv1.weight"], w["upconv1.bias"]).relu()
    for layer in ("upconv2", "upconv3"):
        h = functional.conv_transpose2d(h, w[f"{layer}.weight"], w[f"{layer}.bias"], 2, 1).relu()
    return functional.conv_transpose2d(h, w["upconv4.weight"], w["upconv4.bias"], 2, 1).sigmoid()
