"""Write docs/results.md from its template and the JSON files beside it: `python -m benchmarks.page`.

docs/results/mnist_svhn/page.md is the page with a field in the place of every number:

    {{ runs/iwae-mmvae_loose coherence.strong.joint share }}    file, place in it, format
    {{ table estimators }}                                      one of TABLES

so that no number on the page is typed, and tests/test_results.py finds each in its file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from mmvae.evaluation.gradients import COMPARED
from mmvae.files import read_csv, read_json
from mmvae.report import markdown

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/results/mnist_svhn"
TEMPLATE, PAGE = FOLDER / "page.md", ROOT / "docs/results.md"
FIELD = re.compile(r"\{\{ *(\S+) +(\S+?)(?: +(\S+))? *\}\}")
NORMAL_95 = 1.96
ESTIMATORS = {objective: f"{objective}-mmvae_loose" for objective in COMPARED}
RESTARTED = {objective: f"{objective}_restart-mmvae_loose" for objective in COMPARED}  # some need not have been run
ELBO = "elbo-mmvae_loose"
MAIN = "iwae"  # whose workspace also has the other models, and the tables of the pipeline
DIRECTIONS = ("mnist_to_svhn", "svhn_to_mnist")
NAMES = ("mnist", "svhn")
LEARNED = (*DIRECTIONS, "joint", *(f"latent_accuracy_{name}" for name in NAMES))  # columns of a learning curve


@cache
def document(name: str) -> dict:
    """A JSON file beside the template, by its path without the suffix; or a curve, its rows by pairs seen."""
    if (curve := FOLDER / f"{name}.csv").exists():
        return {f"{row['pairs']:.0f}": row for row in read_csv(curve)}
    return read_json(FOLDER / f"{name}.json")


def leaf(name: str, place: str) -> float | dict | str | list:
    """What lies at a dotted place of a file."""
    value = document(name)
    for key in place.split("."):
        value = value[key]
    return value


def mean(value: float | dict) -> float:
    return value["mean"] if isinstance(value, dict) else value


def share(name: str, place: str) -> str:
    """Percent."""
    return f"{100 * mean(leaf(name, place)):.1f}"


def interval(name: str, place: str) -> str:
    """Percent, +- the half-width of a 95 % interval: over test images for one seed, else over seeds (2 deviations)."""
    value, about = leaf(name, place), document(name)
    rate = mean(value)
    if len(about["seeds"]) > 1:
        return f"{100 * rate:.1f} ± {200 * value['std']:.1f}"
    count = about["budget"]["joint_samples"] if place.endswith("joint") else about["data"]["test_pairs"]
    return f"{100 * rate:.1f} ± {100 * NORMAL_95 * math.sqrt(rate * (1 - rate) / count):.1f}"


def with_error(name: str, place: str) -> str:
    """A mean over test pairs, +- the half-width of its 95 % interval."""
    value = leaf(name, place)
    return f"{value['mean']:z.1f} ± {NORMAL_95 * value['standard_error']:.1f}"


FORMATS: dict[str, Callable[[str, str], str]] = {
    "share": share,
    "interval": interval,
    "error": with_error,
    "int": lambda name, place: f"{mean(leaf(name, place)):,.0f}",
    "text": lambda name, place: str(leaf(name, place)),
    **{str(n): (lambda name, place, n=n: f"{mean(leaf(name, place)):.{n}f}") for n in range(5)},
}


def rows() -> list[str]:
    """Every run there is, the estimators' first."""
    found = sorted(path.stem for path in (FOLDER / "runs").glob("*.json"))
    first = [row for row in ESTIMATORS.values() if row in found]
    return [*first, *(row for row in found if row not in first)]


def table_runs() -> str:
    """What each row was computed with."""
    header = ["row", "pairs", "of the paper's pairs", "K", "seeds", "commit"]
    body = []
    for row in rows():
        about = document(f"runs/{row}")
        budget = about["budget"]
        body.append(
            [
                f"`{row}`",
                f"{budget['pairs']:,}",
                f"{100 * budget['share_of_the_papers_pairs']:.1f} %",
                str(budget["particles"]) if not row.partition("-")[2].startswith("mvae") else "1",
                str(len(about["seeds"])),
                about["commit"],
            ]
        )
    return markdown(header, body)


def table_commands() -> str:
    """The command of every row, as a block of code; B is what all have in common."""
    commands = {row: document(f"runs/{row}")["command"].split(" -S ") for row in rows()}
    start, *_ = next(iter(commands.values()))
    settings = {row: [*parts[1:-1], parts[-1].partition(" ")[0]] for row, parts in commands.items()}
    targets = {row: parts[-1].partition(" ")[2] for row, parts in commands.items()}
    common = [key for key in next(iter(settings.values())) if all(key in of for of in settings.values())]
    lines = ["```bash", 'B="' + "\n   ".join(f"-S {key}".replace("'", "") for key in common) + '"']
    for row, of in settings.items():
        own = "".join(f"-S {key} " for key in of if key not in common)
        lines.append(f"{start} $B {own}{targets[row]}  # {row}")
    return "\n".join([*lines, "```"])


def table1() -> str:
    single = "latent_accuracy.single.{}.samples"
    columns = {
        "MMVAE": ("mmvae", f"runs/{MAIN}-mmvae_loose", single),
        "MVAE single": ("mvae_single", f"runs/{MAIN}-mvae_poe", single),
        "MVAE both": ("mvae_both", f"runs/{MAIN}-mvae_poe", "latent_accuracy.both.samples"),
        "MVAE, probe of both on single": (None, f"runs/{MAIN}-mvae_poe", "latent_accuracy.both_to_single.{}.samples"),
        "VAE": ("vae", None, single),
    }
    vaes = {"mnist": f"runs/{MAIN}-vae_grey", "svhn": f"runs/{MAIN}-vae_colour"}
    body = []
    for name in NAMES:
        published = [share("paper", f"table1.{key}.{name}") if key else "" for key, _, _ in columns.values()]
        ours = [interval(file or vaes[name], place.format(name)) for _, file, place in columns.values()]
        body += [[f"{name}, the paper", *published, ""]]
        body += [[f"{name}, here", *ours, share("classifiers", f"majority.{name}")]]
    return markdown(["", *columns, "majority"], body)


def coherence_row(name: str) -> list[str]:
    """M to S, S to M and joint under the strong classifiers, the LeNets' in brackets."""
    places = [f"cross.{direction}" for direction in DIRECTIONS] + ["joint"]
    return [
        f"{interval(name, f'coherence.strong.{place}')} ({share(name, f'coherence.lenet.{place}')})" for place in places
    ]


def length(row: str) -> int:
    """Pairs that a row was trained on."""
    return document(f"runs/{row}")["budget"]["pairs"]


def on_the_way(row: str, pairs: int) -> list[str]:
    """A row's cells of coherence and entropy after so many pairs, from its learning curve."""
    curve = f"learning/{row}-0"
    shares = [share(curve, f"{pairs}.{key}") for key in (*DIRECTIONS, "joint")]
    return [*shares, *(FORMATS["2"](curve, f"{pairs}.entropy_{name}") for name in NAMES)]


def earlier(row: str, other: str) -> list[list[str]]:
    """A line for MMVAE's `row` after as many pairs as an `other` row has, if that is not its end."""
    pairs = length(other)
    return [] if pairs == length(row) else [[f"the same after {pairs:,} pairs", *on_the_way(row, pairs)]]


def published_row(place: str) -> list[str]:
    return [share("paper", f"{place}.{key}") for key in (*DIRECTIONS, "joint")]


def entropies(name: str) -> list[str]:
    return [FORMATS["2"](name, f"coherence.strong.entropy.{modality}") for modality in NAMES]


COHERENCE = ["", "M to S", "S to M", "joint", "entropy of draws, M", "S"]


def table2() -> str:
    body = [["MMVAE, the paper", *published_row("table2.mmvae"), "", ""]]
    body += [["MMVAE, here", *coherence_row(f"runs/{MAIN}-mmvae_loose"), *entropies(f"runs/{MAIN}-mmvae_loose")]]
    body += earlier(f"{MAIN}-mmvae_loose", f"{MAIN}-mvae_poe")
    body += [["MVAE, the paper", *published_row("table2.mvae"), "", ""]]
    for label, run in (("MVAE, here", "mvae_poe"), ("MVAE's recipe with a mixture, here", "mvae_moe")):
        if f"{MAIN}-{run}" in rows():
            body += [[label, *coherence_row(f"runs/{MAIN}-{run}"), *entropies(f"runs/{MAIN}-{run}")]]
    caps = [f"{share('classifiers', f'strong.{n}')} ({share('classifiers', f'lenet.{n}')})" for n in NAMES[::-1]]
    return markdown(COHERENCE, [*body, ["classifiers on real images", *caps, "", "", ""]])


def table3() -> str:
    header = ["", "log p(m, n)", "scaled as printed", "m, from both", "m, from m", "m, from n", "m given n"]
    body = []
    for model, run in (("mmvae", "mmvae_loose"), ("mvae", "mvae_poe")):
        for name, other in (NAMES, NAMES[::-1]):
            published = document("paper")["table3"][model][name]
            cells = [
                f"{published[key]:.2f}" if key in published else ""
                for key in ("joint", "from_both", "from_own", "from_other")
            ]
            body.append([f"{model}, m = {name}, the paper", "", *cells, ""])
            file, at = f"runs/{MAIN}-{run}", "likelihood."
            places = ["joint", "joint_scaled", f"from_both.{name}", f"from_{name}.{name}", f"from_{other}.{name}"]
            places.append(f"conditional.{name}_given_{other}")
            body.append([f"{model}, m = {name}, here", *(with_error(file, at + place) for place in places)])
    for name, run in (("mnist", "vae_grey"), ("svhn", "vae_colour")):
        cells = ["", "", "", with_error(f"runs/{MAIN}-{run}", f"likelihood.from_{name}.{name}"), "", ""]
        body.append([f"vae, m = {name}, here", *cells])
    return markdown(header, body)


def table5() -> str:
    body = []
    for bound in ("loose", "tight"):
        file = f"runs/{MAIN}-mmvae_{bound}"
        body.append([f"{bound}, the paper", *published_row(f"table5.{bound}"), "", ""])
        body.append([f"{bound}, here", *coherence_row(file), *entropies(file)])
        body += earlier(f"{MAIN}-mmvae_{bound}", f"{MAIN}-mmvae_tight")
    return markdown(COHERENCE, body)


def table_estimators() -> str:
    body = [["the paper", FORMATS["int"]("paper", "pairs"), *published_row("table2.mmvae"), "", ""]]
    for objective, row in ESTIMATORS.items():
        file = f"runs/{row}"
        body.append([f"`{objective}`", f"{length(row):,}", *coherence_row(file), *entropies(file)])
    least = min(map(length, ESTIMATORS.values()))
    for objective, row in ESTIMATORS.items():
        if length(row) > least:
            body.append([f"`{objective}`", f"{least:,}", *on_the_way(row, least)])
    return markdown(["", "pairs", *COHERENCE[1:]], body)


def table_latents() -> str:
    """Latent accuracy, likelihood, and how the experts stand, of each estimator."""
    header = ["", "pairs", "latent accuracy, M", "S", "log p(m, n)", "bound, validation", "effective sample size"]
    header += ["share of M's expert", "posterior entropy, M", "S"]
    body = []
    for objective, row in ESTIMATORS.items():
        file = f"runs/{row}"
        cells = [interval(file, f"latent_accuracy.single.{name}.samples") for name in NAMES]
        cells += [with_error(file, "likelihood.joint"), FORMATS["1"](file, "curve_end.bound_validation")]
        cells += [FORMATS["2"](file, "curve_end.ess"), FORMATS["2"](file, "curve_end.share_mnist")]
        cells += [FORMATS["1"](file, f"curve_end.entropy_{name}") for name in NAMES]
        body.append([f"`{objective}`", f"{length(row):,}", *cells])
    return markdown(header, body)


def table_elbo() -> str:
    """The ELBO beside the estimators, after as many pairs as it has."""
    header = ["", "pairs", "posterior entropy, M", "S", "weight of M's expert, %", "M to S", "S to M", "joint"]
    header += ["latent accuracy, M", "S"]
    pairs = length(ELBO)
    body = []
    for objective, row in {"elbo": ELBO, **ESTIMATORS}.items():
        cells = [FORMATS["1"](f"curves/{row}-0", f"{pairs}.entropy_{name}") for name in NAMES]
        cells += [share(f"curves/{row}-0", f"{pairs}.share_mnist")]
        cells += [share(f"learning/{row}-0", f"{pairs}.{key}") for key in LEARNED]
        body.append([f"`{objective}`", f"{pairs:,}", *cells])
    return markdown(header, body)


def table_restart() -> str:
    """Each estimator with and without a restart of Adam's moments, after the same number of pairs."""
    header = ["", "Adam's moments", "pairs", "M to S", "S to M", "joint", "latent accuracy, M", "S"]
    body = []
    for objective, again in RESTARTED.items():
        if again not in rows():
            continue
        pairs = length(again)
        for label, of in (("kept", ESTIMATORS[objective]), ("begun anew", again)):
            cells = [share(f"learning/{of}-0", f"{pairs}.{key}") for key in LEARNED]
            body.append([f"`{objective}`", label, f"{pairs:,}", *cells])
    return markdown(header, body)


def table_first_updates() -> str:
    """The location layers in the first updates: the smallest and the largest of all seeds."""
    header = ["K", "encoder", "estimator", "smallest scale", "largest gradient", "usual gradient"]
    header += ["AMSGrad's moment", "times `iwae`'s"]
    keys = ("smallest_scale", "loc_largest", "loc_usual", "loc_moment")
    body = []
    for path in sorted((FOLDER / "first_updates").glob("*.json")):
        about = document(f"first_updates/{path.stem}")
        for modality in NAMES:
            for estimator, seeds in about["estimators"].items():
                cells = [_range([of[modality][key] for of in seeds.values()]) for key in keys]
                plain = about["estimators"]["iwae"]
                ratios = [
                    of[modality]["loc_moment"] / plain[seed][modality]["loc_moment"] for seed, of in seeds.items()
                ]
                body.append([str(about["particles"]), modality, f"`{estimator}`", *cells, _range(ratios)])
    return markdown(header, body)


def _range(values: list[float]) -> str:
    """Two significant digits of the smallest and the largest."""
    return " to ".join(dict.fromkeys(_short(value) for value in (min(values), max(values))))


def _short(value: float) -> str:
    text = f"{value:.2g}"
    return f"{float(text):,.0f}" if value >= 10 else text


def table_synergy() -> str:
    """log p(m, n) - log p(m) - log p(n), and what both inputs give against one."""
    header = [
        "",
        "synergy, nats",
        "probe, both",
        "probe, M",
        "probe, S",
        "M made from both",
        "from M",
        "S made from both",
    ]
    header += ["from S"]
    body = []
    for label, run in (("MMVAE", "mmvae_loose"), ("MVAE", "mvae_poe")):
        file = f"runs/{MAIN}-{run}"
        cells = [with_error(file, "likelihood.synergy"), interval(file, "latent_accuracy.both.samples")]
        cells += [interval(file, f"latent_accuracy.single.{name}.samples") for name in NAMES]
        for name in NAMES:
            cells += [interval(file, f"coherence.strong.{kind}.{name}") for kind in ("from_both", "reconstruction")]
        body.append([label, *cells])
    return markdown(header, body)


def table_gradients() -> str:
    """At the end of each training whose gradients were measured."""
    header = ["trained with", "pairs", "encoder", "ESS", "estimator", "signal, %", "squared bias, %", "cosine"]
    header += ["Adam's signal, %", "Adam's squared bias, %", "RMS of a weight", "heaviest, %"]
    body = []
    for path in sorted((FOLDER / "gradients").glob("*.json")):
        name = f"gradients/{path.stem}"
        pairs = max(document(name)["pairs_seen"], key=int)
        for modality, measured in leaf(name, f"pairs_seen.{pairs}").items():
            size = f"{measured['effective_sample_size']:.2f}"
            for estimator, values in measured["estimators"].items():
                cells = [_percent(values["signal"]), _percent(values["squared_bias"])]
                cells += [f"{values['cosine']['mean']:.2f}", f"{100 * values['adam']:.1f}"]
                cells += [f"{100 * values['adam_squared_bias']:z.1f}"]
                cells += [f"{values['rms']:.4f}", f"{100 * values['heaviest']:.0f}"]
                body.append(
                    [f"`{leaf(name, 'trained_with')}`", f"{int(pairs):,}", modality, size, f"`{estimator}`", *cells]
                )
    return markdown(header, body)


def _percent(value: dict) -> str:
    return f"{100 * value['mean']:z.1f} ± {100 * NORMAL_95 * value['standard_error']:.1f}"


def table_summary() -> str:
    """What the README quotes."""
    paper = FORMATS["int"]("paper", "pairs")
    body = [["the paper, MMVAE", paper, *published_row("table2.mmvae")]]
    for row, label in {
        ESTIMATORS["iwae"]: "MMVAE, `iwae`",
        ESTIMATORS["dreg_mixture"]: "MMVAE, `dreg_mixture`",
        ESTIMATORS["stl_iwae"]: "MMVAE, `stl_iwae` (the paper as released)",
        ESTIMATORS["dreg_iwae"]: "MMVAE, `dreg_iwae` (the paper as written)",
        f"{MAIN}-mmvae_tight": "MMVAE, `iwae`, tight bound",
        f"{MAIN}-mvae_poe": "MVAE",
    }.items():
        places = [f"coherence.strong.{key}" for key in (*(f"cross.{d}" for d in DIRECTIONS), "joint")]
        body.append([label, f"{length(row):,}", *(interval(f"runs/{row}", place) for place in places)])
    body.insert(-1, ["the paper, MVAE", paper, *published_row("table2.mvae")])
    return markdown(["", "pairs", "MNIST to SVHN", "SVHN to MNIST", "joint"], body)


TABLES = {
    "runs": table_runs,
    "commands": table_commands,
    "1": table1,
    "2": table2,
    "3": table3,
    "5": table5,
    "estimators": table_estimators,
    "latents": table_latents,
    "synergy": table_synergy,
    "gradients": table_gradients,
    "first_updates": table_first_updates,
    "restart": table_restart,
    "elbo": table_elbo,
}


def render(template: str) -> str:
    """The page: every field replaced by what it stands for."""

    def fill(field: re.Match) -> str:
        name, place, form = field.groups()
        return TABLES[place]() if name == "table" else FORMATS[form](name, place)

    return FIELD.sub(fill, template)


if __name__ == "__main__":
    PAGE.write_text(render(TEMPLATE.read_text(encoding="utf-8")), encoding="utf-8")
