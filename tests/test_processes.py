"""Two processes against one, on the CPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import ROOT

from mmvae.files import read_csv
from mmvae.models import load
from mmvae.processes import Processes, ProcessesError

SCRIPT = """
import sys
sys.path.insert(0, "tests")
import torch
from toys import toy_model, toy_pairs
from mmvae import files, losses, models
from mmvae.training import loop
from mmvae.objectives import Screen
from mmvae.processes import Processes
(out,) = sys.argv[1:]
losses_of = {
    "mvae": losses.SubsampledElbo(0.4),
    "mmvae": losses.ImportanceWeighted("dreg_iwae", "loose", 5, Screen()),
}
processes = Processes.join(torch.device("cpu"))
budget = loop.Budget(2, 60, 15, 1e-3)
for kind, loss in losses_of.items():
    model = toy_model(kind)
    curve = loop.train(model, loss, toy_pairs(), toy_pairs(20), budget, 0, processes=processes)
    if processes.first:
        models.save(f"{out}/{kind}.safetensors", model)
        files.write_csv(f"{out}/{kind}.csv", curve)
processes.leave()
"""
LAUNCHERS = {"one": [], "two": ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> list[Path]:
    """Where one process, and where two, left their weights and curves."""
    base = tmp_path_factory.mktemp("processes")
    script = base / "script.py"
    script.write_text(SCRIPT)
    for name, launcher in LAUNCHERS.items():
        subprocess.run(
            [sys.executable, *launcher, str(script), str(base / name)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"},
            check=True,
            timeout=300,
        )
    return [base / name for name in LAUNCHERS]


@pytest.mark.parametrize("kind", ["mmvae", "mvae"])
def test_two_processes_train_like_one(kind, trained):
    one, two = (load(folder / f"{kind}.safetensors") for folder in trained)
    for (name, a), b in zip(one.named_parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5, msg=name)
    for a, b in zip(*(read_csv(folder / f"{kind}.csv") for folder in trained), strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-5)


def test_parts_make_up_the_batch():
    parts = [Processes(rank, 3).rows(16) for rank in range(3)]
    assert [part.start for part in parts] + [parts[-1].stop] == [0, 5, 10, 16]
    with pytest.raises(ProcessesError, match="a batch of 2 cannot be divided among 3 processes"):
        Processes(0, 3).rows(2)
