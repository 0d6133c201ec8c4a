"""`kill -9` in the middle of a training stage, then the same command again: the same bytes as without."""

import os
import signal
import time
from pathlib import Path

from toys import write_digit_noise

STAGE = "python -m stages.train_mmvae --set digits --bound loose --seed 0"


def outputs(folder: Path) -> list[bytes]:
    return [
        (folder / "models/digits/mmvae_loose/0.safetensors").read_bytes(),
        (folder / "plots/digits/curves/mmvae_loose_0.csv").read_bytes(),
    ]


def checkpoints(folder: Path) -> list[Path]:
    return list((folder / ".checkpoints").glob("digits_mmvae_loose_0_*.safetensors"))


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
