"""`python -m mmvae.explore digits mmvae mvae` writes an HTML file in which the latents of both runs can be moved.

The file holds the networks themselves (explorer/graph.py) and carries them out (explorer/forward.js): no server, no
network. A run of another commit or experiment is `revision:run`, as in `python -m mmvae.explore digits mmvae
ridgy-keep:mmvae`.
"""

import argparse
import base64
import html
import json
import re
import sys
import tempfile
import webbrowser
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmvae import model, registry
from mmvae.data.prepared import LabelledPairs
from mmvae.distributions import Laplace
from mmvae.evaluation import classifiers
from mmvae.evaluation.classifiers import LENET
from mmvae.evaluation.generation import divergences
from mmvae.explorer import graph
from mmvae.files import FileError, atomic
from mmvae.metrics.systems.private import by_rule
from mmvae.model import Inputs, MultimodalVAE
from mmvae.params import ParamsError

EXAMPLES = 100  # test pairs that the page has
SHOWN_EACH = 2  # of a digit, to choose from
SPREAD = 1.15  # of the map, beyond its farthest point


class Map(nn.Module):
    """A function of one input, for torch.export."""

    def __init__(self, of: nn.Module, function: Callable[[Tensor], tuple[Tensor, ...]]):
        super().__init__()
        self.of, self.function = of, function

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.function(x)


def networks(
    trained: MultimodalVAE, shapes: dict[str, tuple[int, ...]], constants: graph.Constants
) -> dict[str, dict[str, Any]]:
    """`encode`: the posterior given each modality, location and scale; `decode`: each modality."""

    def posterior(name: str) -> Callable[[Tensor], tuple[Tensor, ...]]:
        def of(x: Tensor) -> tuple[Tensor, ...]:
            experts = trained.posterior({name: x}).experts
            return experts.loc[0], experts.scale[0]

        return of

    def decoded(name: str) -> Callable[[Tensor], tuple[Tensor, ...]]:
        return lambda z: (trained.decode(name, z),)

    encode = {name: graph.steps(Map(trained, posterior(name)), shape, constants) for name, shape in shapes.items()}
    latents = (trained.config.latents,)
    decode = {name: graph.steps(Map(trained, decoded(name)), latents, constants) for name in shapes}
    return {"encode": encode, "decode": decode}


def ordered_latents(trained: MultimodalVAE, test: Inputs) -> list[dict[str, Any]]:
    """Every latent with its label, the largest KL to the prior first; shared or of one modality, as in Figure 5."""
    to_prior, _ = divergences(trained, test)
    kl = np.stack(list(to_prior.values())).max(0)
    rule = by_rule(trained, test) if len(test) > 1 else {}
    owner = {latent: name for name, owned in rule.items() for latent in owned}
    return [
        {"latent": int(d), "label": ", ".join([f"z{d}", *([owner[d]] if owner else []), f"KL {kl[d]:.1f}"])}
        for d in np.argsort(-kl)
    ]


def plane(trained: MultimodalVAE, test: Inputs, digits: np.ndarray) -> dict[str, Any]:
    """The two principal components of the mean codes given each modality, and the first EXAMPLES of them."""
    means = {name: trained.mean({name: values}).numpy() for name, values in test.items()}
    rows = np.concatenate(list(means.values()))
    centre = rows.mean(0)
    axes = np.resize(np.linalg.svd(rows - centre, full_matrices=False)[2][:2], (2, rows.shape[1]))
    places = np.concatenate([(mean[:EXAMPLES] - centre) @ axes.T for mean in means.values()])
    shown = np.tile(digits[:EXAMPLES], len(means)).tolist()
    points = [[round(u, 3), round(v, 3), digit] for (u, v), digit in zip(places.tolist(), shown, strict=True)]
    reach = max(SPREAD * np.abs(places).max(), 1e-3)  # where every posterior is the prior, there is no map
    return {"centre": centre.tolist(), "axes": axes.tolist(), "reach": float(reach), "points": points}


def about(name: str, trained: MultimodalVAE, test: Inputs, digits: np.ndarray) -> dict[str, Any]:
    """All that the page has to know of a run."""
    prior, own = trained.prior(), {at: test[at] for at in trained.modalities if at in test}
    constants = graph.Constants()
    return {
        "name": name,
        "laplace": isinstance(prior, Laplace),
        "prior": {key: value.tolist() for key, value in (vars(prior) | {"std": prior.std}).items()},
        "latents": ordered_latents(trained, own),
        "plane": plane(trained, own, digits),
        **networks(trained, {at: tuple(values.shape[1:]) for at, values in own.items()}, constants),
        "constants": constants.as_dict(),
    }


def judges(pairs: LabelledPairs) -> dict[str, Any]:
    """The LeNets, which say what digit a picture shows."""
    constants, found = graph.Constants(), {}
    path = f"models/{pairs.data_set}/classifiers.safetensors"
    lenets = classifiers.load(path, pairs.kinds, pairs.device)[LENET]
    for name, shape in classifiers.images(pairs.kinds).items():
        judge = lenets[name].requires_grad_(False)
        network = Map(judge, lambda x, judge=judge: (judge(x).softmax(-1),))
        found[name] = graph.steps(network, shape, constants)
    return {"networks": found, "constants": constants.as_dict()}


def page(title: str, runs: dict[str, MultimodalVAE], pairs: LabelledPairs) -> str:
    """The whole page."""
    test, digits = pairs.first_pass("test", tuple(classifiers.images(pairs.kinds)))
    pixels = {name: (255 * values[:EXAMPLES]).round().byte().numpy() for name, values in test.items()}
    shown = [int(i) for digit in range(10) for i in np.flatnonzero(digits[:EXAMPLES] == digit)[:SHOWN_EACH]]
    data = {
        "modalities": {
            name: {"shape": list(values.shape[1:]), "examples": base64.b64encode(values.tobytes()).decode()}
            for name, values in pixels.items()
        },
        "digits": digits[:EXAMPLES].tolist(),
        "shown": shown,
        "judges": judges(pairs),
        "runs": [about(name, run, test, digits) for name, run in runs.items()],
    }
    own = files("mmvae.explorer")
    parts = {
        "title": html.escape(title),
        "style": own.joinpath("page.css").read_text("utf-8"),
        "script": "".join(own.joinpath(name).read_text("utf-8") for name in ("forward.js", "page.js")),
        "data": json.dumps(data, separators=(",", ":")).replace("</", "<\\/"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], own.joinpath("page.html").read_text("utf-8"))


def load(data_set: str, run: str, seed: int) -> MultimodalVAE:
    """The weights of a run in the workspace, or of `revision:run` by DVC.

    Raises:
        FileError: they are not there, or not of a model with a prior and posteriors.
    """
    revision, _, name = run.rpartition(":")
    path = f"models/{data_set}/{name}/{seed}.safetensors"
    found = at_revision(path, revision, run) if revision else model.load(path)
    if not isinstance(found, MultimodalVAE):
        raise FileError(f"{run} has no prior and posteriors: the page shows models that have")
    return found


def at_revision(path: str, revision: str, run: str) -> model.MultimodalModel:
    """The model of a weights file as it is at a revision."""
    import dvc.api  # here, since it takes a second
    from dvc.exceptions import DvcException

    try:
        weights = dvc.api.read(path, rev=revision, mode="rb")
    except (DvcException, FileNotFoundError) as error:
        ask = "`dvc exp show --all-commits` lists experiments, `dvc fetch` brings weights"
        raise FileError(f"{run}: {path} could not be had at {revision}: {error}; {ask}") from error
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "weights.safetensors"
        own.write_bytes(weights)
        try:
            return model.load(own)
        except FileError as error:
            raise FileError(f"{run}: the weights at {revision} are of other code, and build no model here") from error


def write(data_set: str, runs: Sequence[str], seed: int, path: Path) -> None:
    """The page of these runs.

    Raises:
        ParamsError: the set has captions, or a run sees no images.
        FileError, UnknownName, UnusableFile, UnknownOperation: something is missing, or the page cannot compute it.
    """
    if registry.find("datasets", data_set).FAMILY != "digits":
        raise ParamsError(f"{data_set} has captions: the page shows sets of digits")
    pairs = LabelledPairs(data_set, torch.device("cpu"))
    loaded = {run: load(data_set, run, seed) for run in runs}
    for run, one in loaded.items():
        if not set(one.modalities) & set(classifiers.images(pairs.kinds)):
            raise ParamsError(f"{run} sees no images, which the page is about")
    text = page(f"{', '.join(runs)} on {data_set}", loaded, pairs)
    with atomic(path) as whole:
        whole.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", help="a set of digits")
    parser.add_argument("runs", nargs="+", help="run, or revision:run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--to", type=Path, default=Path("explorer.html"))
    parser.add_argument("--no-browser", action="store_true", help="write the file only")
    given = parser.parse_args()
    torch.set_num_threads(1)
    try:
        write(given.set, given.runs, given.seed, given.to)
    except (FileError, ParamsError, registry.UnknownName, registry.UnusableFile, graph.UnknownOperation) as error:
        sys.exit(f"{error}")
    print(f"{given.to}: {given.to.stat().st_size / 1e6:.1f} MB")
    if not given.no_browser:
        webbrowser.open(given.to.resolve().as_uri())


if __name__ == "__main__":
    main()
