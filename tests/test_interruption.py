"""`kill -9` in the middle of a training stage, then the same command again: the same bytes as without.

And the same stage with more epochs.
"""

import os
import signal
import time
from pathlib import Path

import pytest
from toys import write_digit_noise

STAGE = "python -m stages.train --set digits --seed 0 --run mmvae"


def outputs(folder: Path) -> list[bytes]:
    return [
        (folder / "models/digits/mmvae/0.safetensors").read_bytes(),
        (folder / "plots/digits/curves/mmvae_0.csv").read_bytes(),
        *(path.read_bytes() for path in sorted((folder / "models/digits/mmvae/0_epochs").iterdir())),
    ]


def checkpoints(folder: Path) -> list[Path]:
    return list((folder / ".checkpoints").glob("digits_mmvae_0_*.safetensors"))


@pytest.mark.slow
def test_a_killed_stage_goes_on_to_the_same_bytes(stage_server, tmp_path):
    """Killed a moment after its first checkpoint; it writes one after every update."""
    folder = write_digit_noise(tmp_path, epochs=4, pairs_per_epoch=320)
    assert stage_server.run(folder, STAGE) == (0, "")
    whole = outputs(folder)
    assert not checkpoints(folder), "a finished run leaves no checkpoint"
    for path in (folder / "models", folder / "plots"):
        path.rename(path.with_suffix(".whole"))

    process = stage_server.start(folder, STAGE)
    deadline = time.monotonic() + 60
    while not checkpoints(folder) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(process, signal.SIGKILL)
    status, _ = stage_server.wait()
    assert status == -signal.SIGKILL, "it had finished before it could be killed"
    assert checkpoints(folder)
    assert not (folder / "models").exists(), "a killed stage leaves no output"

    assert stage_server.run(folder, STAGE) == (0, "")
    assert outputs(folder) == whole
    assert not checkpoints(folder)


@pytest.mark.slow
def test_more_epochs_go_on_where_the_stage_ended(stage_server, tmp_path):
    at_once = write_digit_noise(tmp_path / "at_once", epochs=4)
    assert stage_server.run(at_once, STAGE) == (0, "")
    folder = write_digit_noise(tmp_path / "longer", epochs=2)
    assert stage_server.run(folder, STAGE) == (0, "")
    (first,) = (folder / ".checkpoints").glob("*/epoch_00001.safetensors")
    written = first.stat().st_mtime_ns
    write_digit_noise(folder, epochs=4)
    assert stage_server.run(folder, STAGE) == (0, "")
    assert outputs(folder) == outputs(at_once)
    assert first.stat().st_mtime_ns == written, "it started anew"


def test_a_longer_mvae_starts_anew(stage_server, tmp_path):
    """Its KL is annealed over a share of the whole training."""
    for epochs in (2, 4):
        folder = write_digit_noise(tmp_path, epochs=epochs)
        assert stage_server.run(folder, STAGE.removesuffix("mmvae") + "mvae") == (0, "")
    assert len(list((folder / ".checkpoints").glob("*/epoch_00001.safetensors"))) == 2
