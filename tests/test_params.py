"""params.yaml: one line for everything that is not allowed, and what DVC tracks is what runs."""

import copy
import math
import os
import random
import re
import subprocess
import sys

import pytest
from conftest import ROOT
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import load_yaml

from mmvae import params, registry, runs, schema
from mmvae.params import ParamsError

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
PARAMS = params.load(ROOT / "params.yaml")
LINES = len(TEXT.splitlines())
MMVAE, MVAE = "runs.shared_objective.mmvae", "runs.own_objective.mvae"


def leaves(content=PARAMS, at=()):
    """The keys that lead to every value that is no section."""
    for key, value in content.items():
        yield from leaves(value, (*at, key)) if isinstance(value, dict) else [(*at, key)]


def section(content: dict, path: tuple) -> dict:
    for key in path:
        content = content[key]
    return content


def changed(changes: dict) -> dict:
    """The committed parameters with others at some places; ... takes one out."""
    content = copy.deepcopy(PARAMS)
    for at, value in changes.items():
        *path, last = at.split(".")
        section(content, path)[last] = value
        if value is ...:
            del section(content, path)[last]
    return content


def refusal(content: dict) -> str:
    with pytest.raises(ParamsError) as error:
        schema.check(content)
    assert str(error.value).isprintable()
    return str(error.value)


def names(message: str, *path: str) -> bool:
    """Whether a message names all of these keys in their order."""
    place = -1
    return all((place := message.find(key, place + 1)) >= 0 for key in path)


SETS = registry.names("datasets")


def first_of_each_key() -> list[tuple[str, ...]]:
    """The leaves, without those that another data set of the family has, too; but one of each section of each set."""
    found, seen = [], set()
    for path in leaves():
        of_set = next((i for i, part in enumerate(path) if part in SETS), len(path))
        new = {path[: of_set + 1], tuple(part for part in path if part not in SETS)} - seen
        if new:
            found.append(path)
            seen |= new
    return found


LEAVES = first_of_each_key()
OPTIONAL = ("networks", "optimiser", "runs", "caption_runs")  # they have defaults, but for a run's model
NUMBERS = [path for path in LEAVES if type(section(PARAMS, path)) in (int, float) and path[-1] != "embedding"]


def test_the_committed_file_is_allowed():
    assert schema.check(PARAMS) == schema.load(ROOT / "params.yaml") == PARAMS
    assert len(NUMBERS) > 60


@pytest.mark.parametrize("path", LEAVES, ids=".".join)
def test_every_leaf_refuses_a_wrong_type_a_missing_and_an_unknown_key(path):
    *above, last = path
    for wrong in ({"a": 1}, [[1]], b"", *([] if type(section(PARAMS, path)) is bool else [True])):
        message = refusal(changed({".".join(path): wrong}))
        assert names(message, *path) and repr(wrong).strip("[]") in message and ": " in message
    assert names(refusal(changed({".".join([*above, "surprise"]): 7})), *above, "surprise")
    if path[0] not in OPTIONAL or last == "model":
        assert names(refusal(changed({".".join(path): ...})), *path, "missing")


@pytest.mark.parametrize("path", NUMBERS, ids=".".join)
def test_every_number_has_both_ends(path):
    for wrong, told in ((-1e9, "greater"), (2**40, "less"), (math.nan, ""), (math.inf, "")):
        wrong = int(wrong) if told and isinstance(section(PARAMS, path), int) else wrong
        message = refusal(changed({".".join(path): wrong}))
        assert names(message, *path) and repr(wrong) in message and f"it should be {told}" in message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "drge"}, "objective is 'drge': it should be 'elbo', 'iwae', 'stl_iwae', 'dreg_iwae', "),
        (
            {"digit_sets": ["digitz"]},
            "digit_sets.digitz: 'digitz' is no data set; known: birds, cub, digits, digits_text, mnist_",
        ),
        ({"digit_sets": ["birds"]}, "digit_sets.birds: a set of captions is in caption_sets"),
        ({"digit_sets": "digits"}, "digit_sets is 'digits': it should be a valid list"),
        ({"train.digitz": {}}, "train.digitz: 'digitz' is no data set"),
        ({"captions.digits": {"min_count": 1}}, "captions.digits: a set of digits is in digit_sets, not here"),
        ({"data.digits": ...}, "data.digits: the key is missing"),
        ({"networks.digits.colour": ...}, "networks.digits.colour: the key is missing"),
        ({"runs.own_objective": ...}, "runs.own_objective: the key is missing"),
        ({"seeds": [0, 0]}, "seeds is [0, 0]: a list of one or more different values"),
        ({"seeds": [2**32]}, "seeds.0 is 4294967296: it should be less than or equal to 4294967295"),
        ({"train.digits": 3}, "train.digits is 3: it should be a section"),
        ({"train.digits.epoch": 3}, "train.digits.epoch is 3: there is no such key; known: epochs, "),
        ({"train.digits.learning_rate": 10**400}, "train.digits.learning_rate is 1000"),
        ({"networks.birds.captions.embedding": 48}, "networks.birds.captions.embedding is 48: it should be 32, 64, 1"),
        ({"download.mirror": ""}, "download.mirror is '': it should"),
    ],
)
def test_one_value_that_is_wrong(changes, message):
    assert refusal(changed(changes)).startswith(message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.digits.images_per_digit": 12}, "data.digits is .* pairings must be at most 12, because images_per_di"),
        ({"cca.birds.components": 16}, "cca.birds.components is 16: at most 15, because fasttext.birds.dimensions is"),
        (
            {"train.cub.batch_size": 10_000, "particles.cub": 101},
            "caption_runs.shared_objective.mmvae on cub: particles.cub is 101: at most 100, because train's batch",
        ),
        (
            {"features.birds.layer": "layer4", "features.birds.size": 32},
            "features.birds is .* size must be more than 32, because layer is layer4",
        ),
    ],
)
def test_values_that_do_not_go_together(changes, message):
    assert re.match(message, refusal(changed(changes)))


def test_values_that_just_go_together():
    changes = {"data.digits.images_per_digit": 20, "cca.birds.components": 15, "train.cub.batch_size": 10_000}
    schema.check(changed(changes | {"particles.cub": 100, "features.birds.layer": "layer4", "features.birds.size": 33}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({f"{MMVAE}.model": "mmvea"}, f"{MMVAE}: model: 'mmvea' is no model; known: "),
        ({f"{MMVAE}.model": ...}, f"{MMVAE}: model: the key is missing"),
        ({MMVAE: None}, f"{MMVAE}: params.yaml is None"),
        (
            {f"{MMVAE}.bund": "tight"},
            f"{MMVAE} on digits: bund is 'tight': there is no such key; known: bound, free_scales, fixed_prior; a ",
        ),
        ({f"{MMVAE}.kinds": ["gray"]}, f"{MMVAE}: kinds is ['gray']: it should be one or more of grey, colour"),
        ({f"{MMVAE}.kinds": []}, f"{MMVAE}: kinds is []: it should be"),
        ({"caption_runs.alone.vae.kinds": ["captions"]}, "caption_runs.alone.vae: kinds is ['captions']: leave it out"),
        ({"runs.own_objective.mmvae": {"model": "mvae"}}, "runs.own_objective.mmvae: there is another run 'mmvae'"),
        ({"runs.own_objective.a/b": {"model": "mvae"}}, "runs.own_objective.a/b: a run's name is of small letters"),
        ({"runs.own_objective.classifiers": {"model": "mvae"}}, "runs.own_objective.classifiers: a run's name is"),
        ({"runs.own_objective.x": {"model": "mmvae"}}, "runs.own_objective.x on digits: the run needs `particles`, an"),
        ({f"{MVAE}.objective": "iwea"}, f"{MVAE} on digits: objective is 'iwea': it should be one of elbo, iwae"),
        ({f"{MVAE}.train": {"epochs": 0}}, f"{MVAE} on digits: train.epochs is 0: it should be greater than or equal"),
        ({f"{MVAE}.networks": {"gray": {}}}, f"{MVAE} on digits: networks.gray is {{}}: there is no such key"),
        ({f"{MVAE}.networks": {"grey": {"hidden": 0}}}, f"{MVAE} on digits: networks.grey.hidden is 0: it should be"),
        (
            {"runs.own_objective.x": {"model": "cvae", "kinds": ["grey"]}},
            "runs.own_objective.x on digits: cvae takes 2 or",
        ),
        (
            {"runs.own_objective.x": {"model": "dann", "source": "pixels"}},
            "runs.own_objective.x on digits: source is 'pixels': it should be one of grey, colour",
        ),
        (
            {"runs.own_objective.x": {"model": "dmvae", "private": 10}},
            "runs.own_objective.x on digits: private is 10: 2 modalities leave no shared latents of 20",
        ),
        (
            {"caption_runs.own_objective.x": {"model": "unit"}},
            "caption_runs.own_objective.x on birds: unit takes no captions",
        ),
        (
            {"caption_runs.own_objective.x": {"model": "mfm"}},
            "caption_runs.own_objective.x on birds: mfm learns digits, which birds has none of",
        ),
        ({f"{MMVAE}.particles": 1001}, f"{MMVAE}: particles is 1001: it should be less than or equal to 1000"),
    ],
)
def test_runs_that_cannot_be(changes, message):
    assert refusal(changed(changes)).startswith(message)


def test_what_a_run_replaces():
    own = {"model": "mmvae", "objective": "elbo", "particles": 3, "kinds": ["grey"]}
    own |= {"train": {"epochs": 2}, "networks": {"grey": {"hidden": 7}}}
    content = schema.check(changed({"runs.own_objective.x": own}))
    run = runs.find(content, "digits", "x")
    assert (run.objective(content), run.particles(content), run.kinds) == ("elbo", 3, {"handwritten": "grey"})
    assert run.train(content) == PARAMS["train"]["digits"] | PARAMS["optimiser"] | {"epochs": 2}
    assert run.networks(content) == {"grey": PARAMS["networks"]["digits"]["grey"] | {"hidden": 7}}
    mvae = runs.find(content, "digits", "mvae")
    assert (mvae.objective(content), mvae.particles(content)) == (None, None)
    with pytest.raises(ParamsError, match="'y' is no run of digits; known: mmvae, mmvae_tight, vae_grey"):
        runs.find(content, "digits", "y")


def test_what_dvc_writes_is_what_is_read(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(TEXT)
    changes = ["train.digits.learning_rate=1e-05", "seeds=[1,0]", "train.birds.pairs_per_epoch=null"]
    apply_overrides(str(path), [*changes, "download.mirror='/a mirror/ü'"])
    assert "learning_rate: 1e-05\n" in path.read_text()
    content = schema.load(path)
    assert content == load_yaml(str(path))
    assert content["train"]["digits"]["learning_rate"] == 1e-5


ALIKE = "1e-05 1.5e3 1E5 12. .5 -0 +5 true False ~ null text '010' yes no on Off ./mirror ../mirror"
UNLIKE = "010 0o10 0x1F 0b11 1_000 1_0e5 1:30 1:30.5 00.5 _ .5e3 127.0.0.1 2020-01-01 2020-99-99 = <<"


def test_words_are_what_dvc_reads_or_refused(tmp_path):
    path, rng = tmp_path / "params.yaml", random.Random(0)
    assert all(accepted(path, word) for word in ["", *ALIKE.split()])
    assert not any(accepted(path, word) for word in UNLIKE.split())
    for _ in range(3000):
        accepted(path, "".join(rng.choices("0123456789_.:-+eExXobTZ infNaAlsyu~=<", k=rng.randint(1, 7))))


def accepted(path, word: str) -> bool:
    """Whether a value of a type that a leaf may have is read, and then the same one as by DVC."""
    path.write_text(f"a: {word}\n")
    try:
        found = params.load(path)["a"]
    except ParamsError as error:
        assert str(error).startswith(f"{path}: ") and str(error).isprintable()
        return False
    if type(found) not in (str, int, float, bool, type(None)):
        return False
    there = load_yaml(str(path))["a"]
    assert (repr(found), type(found)) == (repr(there), type(there)), word
    return True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it holds no sections"),
        ("a: [1", "expected ',' or ']'"),
        ("a: 1\x00", "special characters are not allowed"),
        ("a: {b: 1, c: 2, b: 1}", "line 1 has the key 'b', which is there already"),
        (TEXT + "objective: elbo\n", f"line {LINES + 1} has the key 'objective'"),
        ("a: &b 1", "line 1 has an anchor or an alias"),
        ("a: 1\nc: *b", "line 2 has an anchor or an alias"),
        ("a: !!python/object:os.system {}", "could not determine a constructor"),
        ("a: " + "[" * 3000, "recursion"),
        ("a: " + "9" * 5000, "integer string conversion"),
        (TEXT.encode("utf-16"), "codec can't decode"),
        (None, "No such file or directory"),
    ],
    ids=range(12),
)
def test_a_file_that_is_no_parameters(text, message, tmp_path):
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ParamsError) as error:
        params.load(path)
    assert str(error.value).startswith(f"{path}: ") and str(error.value).isprintable()
    assert message in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["check_params", "code_hashes"])
def test_the_first_stages_end_in_one_line_and_make_nothing(stage, tmp_path):
    (tmp_path / "params.yaml").write_text(TEXT.replace("model: mvae", "model: mave"))
    command, environment = [sys.executable, "-m", f"stages.{stage}"], os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"ParamsError: {MVAE}: model: 'mave' is no model; known: ")
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
