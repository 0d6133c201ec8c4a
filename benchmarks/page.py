"""Write docs/results.md from its template and the JSON files beside it: `python -m benchmarks.page`.

docs/results/mnist_svhn/page.md is the page with a field in the place of every number:

    {{ runs/iwae-mmvae_loose coherence.strong.joint share }}        file, place in it, format
    {{ learning/iwae-mmvae_loose-0 @equal.svhn_to_mnist share }}    a row of a curve, by a name of lengths()
    {{ table estimators }}                                          one of TABLES

so that no number on the page is typed, and tests/test_results.py finds each in its file.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from scipy import stats

from mmvae.evaluation.gradients import COMPARED, GROUPS
from mmvae.evaluation.learning import earlier_draws
from mmvae.files import read_csv, read_json
from mmvae.report import markdown

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/results/mnist_svhn"
TEMPLATE, PAGE = FOLDER / "page.md", ROOT / "docs/results.md"
FIELD = re.compile(r"\{\{ *(\S+) +(\S+?)(?: +(\S+))? *\}\}")
NORMAL_95 = float(stats.norm.ppf(0.975))
JACKKNIFE_95 = float(stats.t.ppf(0.975, GROUPS - 1))
ESTIMATORS = {objective: f"{objective}-mmvae_loose" for objective in COMPARED}
SAID_OF = {"iwae": "plain", "stl_iwae": "as released", "dreg_iwae": "as written", "dreg_mixture": "unbiased"}
RESTARTED = {objective: f"{objective}_restart-mmvae_loose" for objective in COMPARED}
SEEDED = {objective: f"{objective}_seeds-mmvae_loose" for objective in COMPARED}  # some need not have been run
ANOTHER = "another seed"  # whose training under MAIN went on for longer
PLAIN_ADAM = "dreg_iwae_adam-mmvae_loose"  # without AMSGrad
ELBO = "elbo-mmvae_loose"
MAIN = "iwae"  # whose workspace also has the other models, and the tables of the pipeline
PARTICLES = ("k_1-mmvae_loose", "k_5-mmvae_loose", ESTIMATORS[MAIN], "k_30-mmvae_loose")  # MAIN with several K
SHORT = "short-mvae_poe"  # MVAE trained as long as its recipe with a mixture
NARROW = {"mmvae": "scale_0.1-mmvae_loose", "mvae": "scale_0.1-mvae_poe"}  # Laplace likelihoods of another scale
BERNOULLI = "bernoulli-mvae_poe"
DIRECTIONS = ("mnist_to_svhn", "svhn_to_mnist")
NAMES = ("mnist", "svhn")
VAES = {"mnist": "vae_grey", "svhn": "vae_colour"}
COHERENT = (*DIRECTIONS, "joint")
LEARNED = (*COHERENT, *(f"latent_accuracy_{name}" for name in NAMES))  # columns of a learning curve


@cache
def document(name: str) -> dict:
    """A JSON file beside the template, by its path without the suffix; or a curve, its rows by pairs seen."""
    if name == "lengths":
        return lengths()
    if (curve := FOLDER / f"{name}.csv").exists():
        return {f"{row['pairs']:.0f}": row for row in read_csv(curve)}
    return read_json(FOLDER / f"{name}.json")


def lengths() -> dict[str, int]:
    """Training pairs by name: of the longest run, of MAIN's, of all estimators' and half of it, and of other runs."""
    equal = min(map(length, ESTIMATORS.values()))
    return {
        "longest": max(map(length, rows())),
        "main": length(ESTIMATORS[MAIN]),
        "equal": equal,
        "half": equal // 2,
        "mvae": length(f"{MAIN}-mvae_poe"),
        "mixture": length(f"{MAIN}-mvae_moe"),
        "tight": length(f"{MAIN}-mmvae_tight"),
        "longer": length(SEEDED[MAIN]),
        "likelihoods": length(NARROW["mmvae"]),
        "particles": length(PARTICLES[0]),
        "restart": length(RESTARTED[MAIN]),
        "adam": length(PLAIN_ADAM),
        "elbo": length(ELBO),
        "tails": length(ESTIMATORS["dreg_iwae"]),
    }


def leaf(name: str, place: str) -> float | dict | str | list:
    """What lies at a dotted place of a file."""
    value = document(name)
    for key in place.split("."):
        value = value[str(lengths()[key[1:]]) if key.startswith("@") else key]
    return value


def mean(value: float | dict) -> float:
    return value["mean"] if isinstance(value, dict) else value


def share(name: str, place: str) -> str:
    """Percent."""
    return f"{100 * mean(leaf(name, place)):.1f}"


def within(rate: float, count: int) -> str:
    """Percent, +- the half-width of a 95 % interval of a share of so many."""
    return f"{100 * rate:.1f} ± {100 * NORMAL_95 * math.sqrt(rate * (1 - rate) / count):.1f}"


def interval(name: str, place: str) -> str:
    """A share with its 95 % interval: over seeds where there are several, else over test pairs (jointly, draws)."""
    value, about = leaf(name, place), document(name)
    if (seeds := len(about["seeds"])) > 1:
        half = float(stats.t.ppf(0.975, seeds - 1)) * value["std"] / math.sqrt(seeds)
        return f"{100 * mean(value):.1f} ± {100 * half:.1f}"
    count = about["budget"]["joint_samples"] if place.endswith("joint") else about["data"]["test_pairs"]
    return within(mean(value), count)


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


def length(row: str) -> int:
    """Pairs that a row was trained on."""
    return document(f"runs/{row}")["budget"]["pairs"]


def pairs_of(row: str) -> str:
    return f"{length(row):,}"


def paper_pairs() -> str:
    return FORMATS["int"]("paper", "pairs")


def table_runs() -> str:
    """What each row was computed with."""
    header = ["row", "pairs", "of the paper's pairs", "K", "seeds", "commit", "on"]
    body = []
    for row in rows():
        about = document(f"runs/{row}")
        budget = about["budget"]
        part = f"{100 * budget['share_of_the_papers_pairs']:.1f} %"
        seeds = ", ".join(map(str, about["seeds"]))
        where = [about["commit"], about["machine"]]
        body.append([f"`{row}`", pairs_of(row), part, str(budget["particles"]), seeds, *where])
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


def learned(row: str, at: str, keys: tuple[str, ...], seed: int = 0) -> list[str]:
    """Shares of a learning curve at a name of lengths(), with their intervals over test pairs or draws."""
    budget, data = (document(f"runs/{row}")[key] for key in ("budget", "data"))
    draws = budget["joint_samples"]
    if lengths()[at] < length(row):
        draws = earlier_draws(draws)
    counts = {key: draws if key == "joint" else data["test_pairs"] for key in keys}
    return [within(leaf(f"learning/{row}-{seed}", f"@{at}.{key}"), counts[key]) for key in keys]


def published(table: str, *keys: str) -> list[str]:
    return [share("paper", f"{table}.{key}") for key in keys]


def table1() -> str:
    """Latent accuracy, a line for each model and each posterior that a probe reads."""
    single = [f"latent_accuracy.single.{name}.samples" for name in NAMES]
    mvae = f"{MAIN}-mvae_poe"

    def paper(label: str, key: str) -> list[str]:
        return [f"{label}, the paper", paper_pairs(), *published(f"table1.{key}", *NAMES)]

    def ours(label: str, row: str, places: list[str]) -> list[str]:
        return [label, pairs_of(row), *(interval(f"runs/{row}", place) for place in places)]

    body = [paper("MMVAE", "mmvae")]
    body += [ours(f"MMVAE, `{objective}`", row, single) for objective, row in ESTIMATORS.items()]
    body += [ours(f"MMVAE, `{MAIN}`, {ANOTHER}", SEEDED[MAIN], single)]
    body += [paper("MVAE from one", "mvae_single"), ours("MVAE from one", mvae, single)]
    transferred = [f"latent_accuracy.both_to_single.{name}.samples" for name in NAMES]
    body += [ours("MVAE from one, probe trained on both", mvae, transferred)]
    body += [paper("MVAE from both", "mvae_both"), ours("MVAE from both", mvae, ["latent_accuracy.both.samples"] * 2)]
    body += [paper("VAE", "vae")]
    cells = [interval(f"runs/{MAIN}-{VAES[name]}", place) for name, place in zip(NAMES, single, strict=True)]
    body += [["VAE", pairs_of(f"{MAIN}-{VAES['mnist']}"), *cells]]
    body += [["always the commonest digit", "", *[share(f"runs/{ESTIMATORS[MAIN]}", "latent_accuracy.majority")] * 2]]
    return markdown(["", "pairs", "MNIST", "SVHN"], body)


def coherence_row(label: str, row: str) -> list[str]:
    """Coherence under the strong classifiers, the LeNets' in brackets; agreement by chance; entropies of draws."""
    name = f"runs/{row}"
    places = [*(f"cross.{direction}" for direction in DIRECTIONS), "joint"]
    cells = [f"{interval(name, f'coherence.strong.{at}')} ({share(name, f'coherence.lenet.{at}')})" for at in places]
    chance = share(name, "coherence.strong.joint_by_chance")
    entropies = [FORMATS["2"](name, f"coherence.strong.entropy.{modality}") for modality in NAMES]
    return [label, pairs_of(row), *cells, chance, *entropies]


def earlier_row(label: str, row: str, at: str) -> list[list[str]]:
    """A line for a row on its way, after as many pairs as others have; none if that is its end."""
    if lengths()[at] == length(row):
        return []
    entropies = [FORMATS["2"](f"learning/{row}-0", f"@{at}.entropy_{modality}") for modality in NAMES]
    return [[label, f"{lengths()[at]:,}", *learned(row, at, COHERENT), "", *entropies]]


def published_row(label: str, place: str) -> list[str]:
    return [f"{label}, the paper", paper_pairs(), *published(place, *COHERENT), "", "", ""]


COHERENCE = ["", "pairs", "M to S", "S to M", "joint", "by chance", "entropy of draws, M", "S"]


def table2() -> str:
    body = [published_row("MMVAE", "table2.mmvae")]
    body += [coherence_row(f"MMVAE, `{objective}`", row) for objective, row in ESTIMATORS.items()]
    body += [coherence_row(f"MMVAE, `{MAIN}`, {ANOTHER}", SEEDED[MAIN])]
    body += earlier_row(f"MMVAE, `{MAIN}`", ESTIMATORS[MAIN], "mixture")
    body += [published_row("MVAE", "table2.mvae"), coherence_row("MVAE", f"{MAIN}-mvae_poe")]
    body += [coherence_row("MVAE, trained for less", SHORT)]
    body += [coherence_row("MVAE's recipe with a mixture", f"{MAIN}-mvae_moe")]
    constant = share(f"runs/{ESTIMATORS[MAIN]}", "latent_accuracy.majority")
    body += [["always the commonest digit", "", constant, constant, *[""] * 4]]
    caps = [f"{share('classifiers', f'strong.{n}')} ({share('classifiers', f'lenet.{n}')})" for n in NAMES[::-1]]
    return markdown(COHERENCE, [*body, ["classifiers on real images", "", *caps, *[""] * 4]])


LIKELIHOODS = ["", "pairs", "log p(m, n)", "scaled as printed", "m, from both", "m, from m", "m, from n", "m given n"]


def likelihood_rows(model: str, ours: dict[str, str]) -> list[list[str]]:
    """For each modality m the paper's line of a model, and those of our rows by what is added to the model's name."""
    body = []
    for name, other in (NAMES, NAMES[::-1]):
        printed = document("paper")["table3"][model][name]
        keys = ("joint", "from_both", "from_own", "from_other")
        cells = [f"{printed[key]:.2f}" if key in printed else "" for key in keys]
        body.append([f"{model.upper()}, m = {name.upper()}, the paper", paper_pairs(), "", *cells, ""])
        places = ["joint", "joint_scaled", f"from_both.{name}", f"from_{name}.{name}", f"from_{other}.{name}"]
        places.append(f"conditional.{name}_given_{other}")
        for added, row in ours.items():
            cells = [with_error(f"runs/{row}", f"likelihood.{place}") for place in places]
            body.append([f"{model.upper()}{added}, m = {name.upper()}", pairs_of(row), *cells])
    return body


def table3() -> str:
    body = likelihood_rows("mmvae", {"": ESTIMATORS[MAIN]}) + likelihood_rows("mvae", {"": f"{MAIN}-mvae_poe"})
    for name, run in VAES.items():
        cells = ["", "", "", with_error(f"runs/{MAIN}-{run}", f"likelihood.from_{name}.{name}"), "", ""]
        body.append([f"VAE, m = {name.upper()}", pairs_of(f"{MAIN}-{run}"), *cells])
    return markdown(LIKELIHOODS, body)


def table_likelihoods() -> str:
    """Table 3 under the likelihoods that its numbers look like."""
    body = likelihood_rows("mmvae", {", scale 0.1": NARROW["mmvae"]})
    body += likelihood_rows("mvae", {", scale 0.1": NARROW["mvae"], ", Bernoulli": BERNOULLI})
    return markdown(LIKELIHOODS, body)


def table5() -> str:
    body = []
    for bound in ("loose", "tight"):
        row = f"{MAIN}-mmvae_{bound}"
        body += [published_row(bound, f"table5.{bound}"), coherence_row(f"{bound}, `{MAIN}`", row)]
        body += earlier_row(f"{bound}, `{MAIN}`", row, "tight")
    return markdown(COHERENCE, body)


def table_estimators() -> str:
    """Every estimator after the same number of pairs, and after half of them."""
    header = ["", "pairs", "M to S", "S to M", "joint", "latent accuracy, M", "S", "bound on validation pairs"]
    header += ["weight of M's expert, %"]
    body = []
    for at in ("half", "equal"):
        for objective, row in ESTIMATORS.items():
            curve = f"curves/{row}-0"
            cells = [*learned(row, at, LEARNED), FORMATS["1"](curve, f"@{at}.bound_validation")]
            body.append([f"`{objective}`", f"{lengths()[at]:,}", *cells, share(curve, f"@{at}.share_mnist")])
    return markdown(header, body)


def table_spread() -> str:
    """Every estimator that was trained with several seeds: each seed, after the same numbers of pairs."""
    header = ["", "seed", "pairs", "M to S", "S to M", "joint", "latent accuracy, M", "S"]
    body = []
    for objective, more in SEEDED.items():
        if more in rows():
            seeds = {0: ESTIMATORS[objective]} | dict.fromkeys(document(f"runs/{more}")["seeds"], more)
            for at in ("restart", "half", "equal"):
                if lengths()[at] <= length(more):
                    for seed, row in seeds.items():
                        cells = learned(row, at, LEARNED, seed)
                        body.append([f"`{objective}`", str(seed), f"{lengths()[at]:,}", *cells])
    return markdown(header, body)


def table_elbo() -> str:
    """The ELBO beside the estimators, after as many pairs as it has."""
    header = ["", "pairs", "posterior entropy, M", "S", "M to S", "S to M", "joint", "latent accuracy, M", "S"]
    body = []
    for objective, row in {"elbo": ELBO, **ESTIMATORS}.items():
        cells = [FORMATS["1"](f"curves/{row}-0", f"@elbo.entropy_{name}") for name in NAMES]
        body.append([f"`{objective}`", f"{lengths()['elbo']:,}", *cells, *learned(row, "elbo", LEARNED)])
    return markdown(header, body)


def table_coherence_of_likelihoods() -> str:
    """MMVAE and MVAE under each likelihood, after as many pairs."""
    shown = {"MMVAE": ESTIMATORS[MAIN], "MMVAE, scale 0.1": NARROW["mmvae"]}
    shown |= {"MVAE": SHORT, "MVAE, scale 0.1": NARROW["mvae"], "MVAE, Bernoulli": BERNOULLI}
    pairs = f"{lengths()['likelihoods']:,}"
    body = [[label, pairs, *learned(row, "likelihoods", LEARNED)] for label, row in shown.items()]
    return markdown(["", "pairs", "M to S", "S to M", "joint", "latent accuracy, M", "S"], body)


def table_restart() -> str:
    """Each estimator with and without a restart of Adam's moments, after the same number of pairs."""
    header = ["", "Adam's moments", "pairs", "M to S", "S to M", "joint", "latent accuracy, M", "S"]
    header += ["bound on validation pairs"]
    body = []
    for objective, again in RESTARTED.items():
        for label, row in (("kept", ESTIMATORS[objective]), ("begun anew", again)):
            cells = [*learned(row, "restart", LEARNED), FORMATS["1"](f"curves/{row}-0", "@restart.bound_validation")]
            body.append([f"`{objective}`", label, f"{lengths()['restart']:,}", *cells])
    return markdown(header, body)


def table_adam() -> str:
    """A path-derivative estimator without AMSGrad, beside itself and MAIN with it, as training goes on."""
    header = ["", "pairs", "M to S", "S to M", "joint", "latent accuracy, M", "S", "bound on validation pairs"]
    kept = {f"`{objective}`": ESTIMATORS[objective] for objective in (MAIN, "dreg_iwae")}
    without = {"`dreg_iwae`, without AMSGrad": PLAIN_ADAM}
    lines = dict.fromkeys(("restart", "elbo", "half"), kept | without) | {"adam": without, "equal": kept}
    body = []
    for at, shown in lines.items():
        for label, row in shown.items():
            cells = [*learned(row, at, LEARNED), FORMATS["1"](f"curves/{row}-0", f"@{at}.bound_validation")]
            body.append([label, f"{lengths()[at]:,}", *cells])
    return markdown(header, body)


def table_particles() -> str:
    """MAIN with several K after as many pairs; posteriors and the bound, of one K for all, on validation pairs."""
    header = ["K", "pairs", "M to S", "S to M", "joint", "latent accuracy, M", "S", "posterior entropy, M", "S"]
    header += ["bound on validation pairs"]
    body = []
    keys = [*(f"entropy_{name}" for name in NAMES), "bound_validation"]
    for row in PARTICLES:
        start = [str(document(f"runs/{row}")["budget"]["particles"]), f"{lengths()['particles']:,}"]
        cells = [FORMATS["1"](f"curves/{row}-0", f"@particles.{key}") for key in keys]
        body.append([*start, *learned(row, "particles", LEARNED), *cells])
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


def table_moments() -> str:
    """What Adam remembers of the location layers' gradients at the end of each training that was looked at."""
    header = ["", "pairs", "updates"]
    kinds = ("Adam's running", "AMSGrad's largest", "steps divided by")
    header += [f"{encoder}, {kind}" for encoder in ("M", "S") for kind in kinds]
    body = []
    for objective, row in ESTIMATORS.items():
        about = document(f"moments/{row}")
        cells = [f"{about['budget'][key]:,}" for key in ("pairs", "updates")]
        for name in NAMES:
            found = about["moments"][name]
            low, middle, high = map(_short, found["loc_slowed"].values())
            cells += [_short(found["loc_running"]), _short(found["loc_largest"]), f"{middle} ({low} to {high})"]
        body.append([f"`{objective}`", *cells])
    return markdown(header, body)


def _range(values: list[float]) -> str:
    """Two significant digits of the smallest and the largest."""
    return " to ".join(dict.fromkeys(_short(value) for value in (min(values), max(values))))


def _short(value: float) -> str:
    text = f"{value:.2g}"
    return f"{float(text):,.0f}" if value >= 10 else text


def table_synergy() -> str:
    """log p(m, n) - log p(m) - log p(n), and what both inputs give against one."""
    header = ["", "pairs", "synergy, nats", "probe, both", "probe, M", "probe, S", "M made from both", "from M"]
    header += ["S made from both", "from S"]
    body = []
    for label, row in ((f"MMVAE, `{MAIN}`", ESTIMATORS[MAIN]), ("MVAE", f"{MAIN}-mvae_poe")):
        file = f"runs/{row}"
        cells = [with_error(file, "likelihood.synergy"), interval(file, "latent_accuracy.both.samples")]
        cells += [interval(file, f"latent_accuracy.single.{name}.samples") for name in NAMES]
        for name in NAMES:
            cells += [interval(file, f"coherence.strong.{kind}.{name}") for kind in ("from_both", "reconstruction")]
        body.append([label, pairs_of(row), *cells])
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
    return f"{100 * value['mean']:z.1f} ± {100 * JACKKNIFE_95 * value['standard_error']:.1f}"


def table_summary() -> str:
    """What the README quotes, and the page begins with."""
    places = [*(f"coherence.strong.cross.{direction}" for direction in DIRECTIONS), "coherence.strong.joint"]

    def ours(label: str, row: str) -> list[str]:
        return [label, pairs_of(row), *(interval(f"runs/{row}", place) for place in places)]

    body = [["MMVAE, the paper", paper_pairs(), *published("table2.mmvae", *COHERENT)]]
    body += [ours(f"MMVAE, `{objective}` ({SAID_OF[objective]})", row) for objective, row in ESTIMATORS.items()]
    body += [ours(f"MMVAE, `{MAIN}`, {ANOTHER}", SEEDED[MAIN])]
    body += [[f"MMVAE, `{MAIN}`, on its way", f"{lengths()['tight']:,}", *learned(ESTIMATORS[MAIN], "tight", COHERENT)]]
    body += [ours(f"MMVAE, `{MAIN}`, tight bound", f"{MAIN}-mmvae_tight")]
    body += [["MVAE, the paper", paper_pairs(), *published("table2.mvae", *COHERENT)]]
    body += [ours("MVAE", f"{MAIN}-mvae_poe")]
    constant = share(f"runs/{ESTIMATORS[MAIN]}", "latent_accuracy.majority")
    body += [["always the commonest digit", "", constant, constant, ""]]
    return markdown(["", "pairs", "MNIST to SVHN", "SVHN to MNIST", "joint"], body)


TABLES = {
    "summary": table_summary,
    "runs": table_runs,
    "commands": table_commands,
    "1": table1,
    "2": table2,
    "3": table3,
    "likelihoods": table_likelihoods,
    "5": table5,
    "likelihoods_coherence": table_coherence_of_likelihoods,
    "estimators": table_estimators,
    "spread": table_spread,
    "synergy": table_synergy,
    "gradients": table_gradients,
    "first_updates": table_first_updates,
    "moments": table_moments,
    "restart": table_restart,
    "adam": table_adam,
    "particles": table_particles,
    "elbo": table_elbo,
}


def render(template: str) -> str:
    """The page: every field replaced by what it stands for."""

    def fill(field: re.Match) -> str:
        name, place, form = field.groups()
        return TABLES[place]() if name == "table" else FORMATS[form](name, place)

    return FIELD.sub(fill, template)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    PAGE.write_text(render(TEMPLATE.read_text(encoding="utf-8")), encoding="utf-8")
