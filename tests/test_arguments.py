"""What a stage that is started by hand may be asked for."""

import pytest

from stages import arguments


def test_what_a_stage_is_given(monkeypatch):
    monkeypatch.setattr("sys.argv", ["stage", *["--set", "birds", "--seed", "3", "--run", "mmvae_pixels"]])
    found = arguments("set", "run", "seed")
    assert (found.set, found.run, found.seed) == ("birds", "mmvae_pixels", 3)


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ("--set digit --seed 0", "invalid choice: 'digit' (choose from 'birds', 'cub', 'digits', "),
        ("--set digits --seed one", "invalid int value: 'one'"),
        ("--seed 0", "the following arguments are required: --set"),
        ("--set digits --seed 0 --image grey", "unrecognized arguments: --image grey"),
    ],
)
def test_what_a_stage_refuses(given, refusal, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["stage", *given.split()])
    with pytest.raises(SystemExit) as stopped:
        arguments("set", "seed")
    assert stopped.value.code == 2
    assert refusal in capsys.readouterr().err
