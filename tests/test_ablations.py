"""studies/ablations: its parameters, its questions, and the page that tells of them."""

import sys
from dataclasses import replace

import pandas as pd
import pytest
import torch
from conftest import ROOT
from toys import toy_model, toy_pairs

from benchmarks import modalities
from mmvae import params, questions, registry, runs, schema
from mmvae.figures.questions import answers
from mmvae.files import FileError
from mmvae.losses import Phase, Setting
from mmvae.questions import Question
from mmvae.tables import RATES
from mmvae.training.loop import Budget, train

PAGE = ROOT / "docs" / "ablations.md"
STUDIES = {"digits_text": "studies/ablations", "mnist_svhn_text": "docs/results/ablations"}
CROSS, JOINT = RATES.replace("\\", "") + "cross.a_to_b", RATES.replace("\\", "") + "joint"


@pytest.mark.parametrize("name", STUDIES)
def test_every_run_answers_a_question(name):
    content = params.load(ROOT / STUDIES[name] / "params.yaml")
    assert content["digit_sets"] == [name]
    schema.check({key: value for key, value in content.items() if key != "questions"})
    asked = {run for one in questions.load(content) for runs in one.lines.values() for run in runs.values()}
    assert asked == {run for group in content["runs"].values() for run in group}


@pytest.mark.parametrize("name", STUDIES)
def test_the_page_has_the_tables_of_the_study(name, recorded, monkeypatch, capsys):
    monkeypatch.chdir(recorded / STUDIES[name])
    monkeypatch.setattr(sys, "argv", ["questions", name])
    questions.main()
    page = PAGE.read_text(encoding="utf-8")
    for table in capsys.readouterr().out.strip().split("\n\n")[1::2]:
        assert table in page, f"docs/ablations.md: paste the output of python -m mmvae.questions {name}"


def long_table(values):
    """Run, metric -> values of seeds 0, 1, ..."""
    rows = [(run, seed, metric, v) for (run, metric), of in values.items() for seed, v in enumerate(of)]
    return pd.DataFrame(rows, columns=["run", "seed", "metric", "value"]).assign(standard_error=None)


EVERY = long_table({("one", CROSS): [0.2, 0.4], ("two", CROSS): [0.5, 0.5], ("one", JOINT): [0.1, 0.1]})
ASKED = Question(title="Why?", axis="K", lines={"x": {"1": "one", "2": "two"}, "y": {"2": "one"}})


def test_a_table_has_means_and_deviations_by_line_and_value():
    text = questions.markdown(ASKED, EVERY).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text[2:]]
    assert cells[0] == ["", "a to b", "joint"]
    assert cells[2:] == [["x: 1", "30 ± 14", "10 ± 0"], ["x: 2", "50 ± 0", ""], ["y: 2", "30 ± 14", "10 ± 0"]]
    with pytest.raises(FileError, match="no run 'three'"):
        questions.markdown(Question(title="Why?", axis="K", lines={"x": {"1": "three"}}), EVERY)


def test_a_panel_has_a_line_of_means_and_a_dot_for_each_seed():
    """Across, the mean over both directions."""
    back = {("one", RATES.replace("\\", "") + "cross.b_to_a"): [0.4, 0.6], ("two", JOINT): [0.2, 0.2]}
    panel = answers([ASKED], pd.concat([EVERY, long_table(back)]), "title").axes[0]
    lines = [line.get_xydata().tolist() for line in panel.lines]
    assert lines[0] == [[0, pytest.approx(40)], [1, 50]]
    assert lines[1] == [[0, pytest.approx(30)], [0, 50]]
    assert [[0, 10], [1, 20]] in lines
    assert [label.get_text() for label in panel.get_xticklabels()] == ["1", "2"]
    assert panel.get_title() == "Why?"


@pytest.mark.parametrize(("objective", "least", "most"), [("importance_elbo", 0.95, 1.05), ("elbo", 1.85, 2.0)])
def test_the_cost_of_appendix_b_is_linear_in_modalities(objective, least, most, monkeypatch):
    """Counted operations, of as many particles as make encoders a small part."""
    monkeypatch.setattr(modalities, "WARM_UP", 1)
    costs = pd.DataFrame([modalities.cost(m, objective, steps=1) for m in (1, 2, 3)])
    assert least < modalities.exponent(costs["M"], costs["gflop"]) < most


def loss_of(model, **options):
    found = registry.find("models", model)
    (phase,) = found.phases(found.Options(**options), Setting("iwae", 3, torch.device("cpu")))
    return phase.loss


RUNS = params.load(ROOT / STUDIES["digits_text"] / "params.yaml")["runs"]
CHOICES = [entry for group in RUNS.values() for entry in group.values()]
CHOICES = [{"model": one["model"]} | runs.Entry(**one).options for one in CHOICES]
CHOICES = [one for i, one in enumerate(CHOICES) if one not in CHOICES[:i]]


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_choice_can_be_trained(choice):
    model = toy_model(**choice)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    options = {key: value for key, value in choice.items() if key != "model"}
    budget = Budget(epochs=1, pairs_per_epoch=32, batch_size=8, learning_rate=1e-3)
    pairs = toy_pairs(64)
    train(model, [Phase(loss_of(choice["model"], **options))], pairs, pairs, budget, 0)
    fixed = {name for name, value in model.state_dict().items() if torch.equal(value, before[name])}
    assert fixed == ({"prior_scale_logits"} if choice.get("fixed_prior") else set())


def test_scales_sum_to_the_number_of_latents_unless_they_are_free():
    x = toy_pairs().batch(slice(None))
    for free in (False, True):
        scales = toy_model("mmvae", free_scales=free).posterior(x).experts.scale.sum(-1)
        assert torch.allclose(scales, torch.tensor(4.0), atol=1e-4) != free
    assert (toy_model("mmvae", fixed_prior=True).prior().scale == 1).all()


def test_the_average_is_the_mean_of_both_bounds(generator):
    model, x = toy_model("mmvae").double(), {name: v.double() for name, v in toy_pairs(6).batch(slice(None)).items()}
    losses = [replace(loss_of("mmvae", bound=bound), screen=None) for bound in ("loose", "tight", "average")]
    noise = losses[0].noise(model, 6, generator)
    gradients, bounds = [], []
    for loss in losses:
        model.zero_grad()
        estimate = loss(model, x, noise, torch.ones(()))
        estimate.surrogate.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
        bounds.append(estimate.bound)
    for loose, tight, average in (gradients, bounds):
        torch.testing.assert_close(average, (loose + tight) / 2)
    log_weights = torch.randn(2, 3, 6, generator=generator)
    loose, tight, average = (loss.held_out(model, x, log_weights, generator) for loss in losses)
    torch.testing.assert_close(average, (loose + tight) / 2)
