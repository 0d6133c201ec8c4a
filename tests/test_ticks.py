"""Figure 2's cells and ticks, from numbers that are known; and its parameters."""

import pandas as pd
import pytest
from conftest import ROOT

from mmvae import params, runs, schema, systems
from mmvae.figure2 import Figure2, Lines

LINES = Lines(transfer=0.5, style=0.3, joint=0.1, entropy=2.0, cross=0.1)
STUDY = ROOT / "studies" / "figure2"


def long_table(**changes) -> pd.DataFrame:
    """One run, of two seeds, above every line by a little."""
    numbers = {
        "latent_accuracy.majority": 0.1,
        "transfer.a": 0.9,
        "transfer.b": 0.9,
        "transfer.a_to_b": 0.6,
        "transfer.b_to_a": 0.6,
        "style.brightness.a": 0.5,
        "style.brightness.b": 0.5,
        "coherence.strong.joint": 0.5,
        "coherence.strong.joint_by_chance": 0.1,
        "coherence.strong.entropy.a": 2.2,
        "coherence.strong.entropy.b": 2.2,
        "coherence.strong.cross.a_to_b": 0.5,
        "coherence.strong.cross.b_to_a": 0.5,
        "synergy.probe.a": 0.05,
        "synergy.probe.b": 0.05,
        "synergy.image.a": 0.05,
        "synergy.image.b": 0.05,
        "likelihood.synergy": -3.0,
    }
    rows = [
        {"run": "r", "seed": seed, "metric": name, "value": value, "standard_error": 0.01}
        for seed in (0, 1)
        for name, value in (numbers | changes).items()
    ]
    return pd.DataFrame(rows)


def ticks(every):
    (cells,) = systems.report(every, LINES).values()
    return {criterion: systems.tick(numbers) for criterion, numbers in cells.items()}


def test_a_system_above_every_line_has_every_tick():
    assert set(ticks(long_table()).values()) == {True}


@pytest.mark.parametrize(
    ("metric", "value", "lost"),
    [
        ("transfer.a_to_b", 0.51, systems.FACTORISATION),  # above (0.1 + 0.5 * 0.8), within the interval
        ("style.brightness.b", 0.2, systems.FACTORISATION),
        ("coherence.strong.joint", 0.21, systems.JOINT),
        ("coherence.strong.entropy.a", 1.9, systems.JOINT),
        ("coherence.strong.cross.b_to_a", 0.21, systems.CROSS),
        ("synergy.image.b", 0.01, systems.SYNERGY),
    ],
)
def test_a_number_that_is_not_clearly_above_its_line_loses_the_tick(metric, value, lost):
    assert [criterion for criterion, kept in ticks(long_table(**{metric: value})).items() if not kept] == [lost]


def test_one_seed_below_the_line_loses_the_tick():
    every = long_table()
    first = (every["metric"] == "coherence.strong.cross.a_to_b") & (every["seed"] == 0)
    every.loc[first, "value"] = 0.19
    assert ticks(every)[systems.CROSS] is False


def test_synergy_in_nats_is_enough():
    assert ticks(long_table(**{"synergy.probe.a": -0.1, "likelihood.synergy": 1.0}))[systems.SYNERGY] is True


@pytest.mark.parametrize("value", [-0.1, 0.1])
def test_synergy_in_nats_alone(value):
    every = long_table(**{"likelihood.synergy": value})
    assert ticks(every[~every["metric"].str.contains("synergy.probe|synergy.image")])[systems.SYNERGY] is (value > 0)


def test_a_system_without_a_map_has_neither_tick_nor_cross():
    every = long_table()
    found = ticks(every[~every["metric"].str.contains("cross|synergy")])
    assert found[systems.CROSS] is None and found[systems.SYNERGY] is None


def test_the_gain_over_single_vaes():
    metric = "latent_accuracy.single.{}.samples"
    rows = [("joint", 0, "a", 0.9), ("joint", 0, "b", 0.6), ("one", 0, "a", 0.7), ("other", 0, "b", 0.8)]
    every = pd.DataFrame(
        [{"run": run, "seed": seed, "metric": metric.format(at), "value": value} for run, seed, at, value in rows]
    )
    found = systems.gains(every.assign(standard_error=0.1)).set_index("metric")["value"]
    assert found.round(6).to_dict() == {"gain.a": 0.2, "gain.b": -0.2}
    wider = every[every["run"] == "one"].assign(run="wider", value=0.1)
    every = pd.concat([every[every["run"] != "other"], wider]).assign(standard_error=0.1)
    found = systems.gains(every).set_index("metric")["value"]
    assert found.round(6).to_dict() == {"gain.a": 0.2}, "ahead of the first VAE of a; there is none of b"
    assert systems.gains(every[every["run"] == "joint"]).empty


def test_the_likelihood_given_the_other_is_ahead_of_the_single_vaes():
    single = [("vae_a", "a", (-10.0, -9.0)), ("vae_b", "b", (-7.0, -6.0))]
    rows = [(run, seed, f"likelihood.from_{at}.{at}", value) for run, at, of in single for seed, value in enumerate(of)]
    rows += [(run, seed, f"latent_accuracy.single.{at}.samples", 0.5) for run, at, _ in single for seed in (0, 1)]
    rows += [("cvae", seed, f"conditional.{at}", value) for at, value in (("a", -9.0), ("b", -4.0)) for seed in (0, 1)]
    rows += [("cvae", seed, f"latent_accuracy.single.{at}.samples", 0.5) for at in "ab" for seed in (0, 1)]
    rows += [("both", 0, "likelihood.from_a.a", -1.0), ("both", 0, "likelihood.from_both.a", -1.0)]
    every = pd.DataFrame(rows, columns=["run", "seed", "metric", "value"])
    every["standard_error"] = every["run"].map({"cvae": 0.3}).fillna(0.4)
    found = systems.gains(every)
    nats = found[found["metric"].str.startswith("gain.nats.")].set_index(["run", "metric", "seed"])
    expected = {("gain.nats.a", 0): 1.0, ("gain.nats.a", 1): 0.0, ("gain.nats.b", 0): 3.0, ("gain.nats.b", 1): 2.0}
    assert nats["value"].to_dict() == {("cvae", *key): value for key, value in expected.items()}
    assert nats["standard_error"].round(9).unique() == [0.5]


def test_tuned_values_replace_options_and_networks():
    content = params.load(STUDY / "params.yaml")
    run = runs.find(content, "digits", "mmvae")
    assert run.replaced("networks.grey.scaling", 8.0).networks(content)["grey"]["scaling"] == 8.0
    assert run.replaced("bound", "tight").entry.options == {"bound": "tight"}
    assert run.entry.options == {"bound": "loose"}


def test_the_studys_parameters_are_allowed():
    content = params.load(STUDY / "params.yaml")
    figure = params.section(Figure2, content, "figure2")
    schema.check({key: value for key, value in content.items() if key != "figure2"})
    for group, of_runs in figure.tuned.items():
        assert of_runs.keys() <= content["runs"][group].keys()


def test_the_parameters_are_those_that_tuning_chose(recorded):
    study = recorded / "studies/figure2"
    content, tried = params.load(study / "params.yaml"), pd.read_csv(study / "metrics/digits/tuning.csv")
    every = {run: entry for group in content["runs"].values() for run, entry in group.items()}
    for run, rows in tried.groupby("run"):
        option, best = rows.loc[rows["cross"].fillna(rows["transfer"]).idxmax(), ["option", "value"]]
        used = every[run]
        for key in option.split("."):
            used = used.get(key, {})
        assert used == pytest.approx(best), f"{run}: {option}"
