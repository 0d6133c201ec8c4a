"""What a stage that is started by hand may be asked for."""

import pytest

from stages import arguments

MMVAE = (("set", "seed"), {"bound": "loose", "image": None})
VAE = (("set", "image", "seed"), {})


@pytest.mark.parametrize(
    ("stage", "given", "image"),
    [
        (MMVAE, "--set digits --seed 0", None),
        (MMVAE, "--set birds --seed 0 --image pixels", "pixels"),
        (VAE, "--set mnist_svhn --seed 0 --image colour", "colour"),
        (VAE, "--set cub --seed 0 --image captions", "captions"),
    ],
)
def test_what_a_stage_is_given(stage, given, image, monkeypatch):
    monkeypatch.setattr("sys.argv", ["stage", *given.split()])
    names, optional = stage
    found = arguments(*names, **optional)
    assert (found.image, found.seed) == (image, 0)


@pytest.mark.parametrize(
    ("stage", "given", "refusal"),
    [
        (MMVAE, "--set digits --seed 0 --bound loos", "invalid choice: 'loos'"),
        (MMVAE, "--set digit --seed 0", "invalid choice: 'digit'"),
        (MMVAE, "--set digits --seed 0 --image grey", "--image is grey; allowed for digits: leaving it out"),
        (MMVAE, "--set birds --seed 0", "--image is None; allowed for birds: features, pixels"),
        (MMVAE, "--set cub --seed 0 --image captions", "--image is captions; allowed for cub: features, pixels"),
        (VAE, "--set digits --seed 0 --image gray", "--image is gray; allowed for digits: grey, colour"),
        (VAE, "--set birds --seed 0 --image feature", "allowed for birds: features, pixels, captions"),
    ],
)
def test_what_a_stage_refuses(stage, given, refusal, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["stage", *given.split()])
    names, optional = stage
    with pytest.raises(SystemExit) as stopped:
        arguments(*names, **optional)
    assert stopped.value.code == 2
    assert refusal in capsys.readouterr().err
