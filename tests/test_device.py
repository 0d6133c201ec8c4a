"""Freed memory is used again instead of going back to the system."""

import os
import platform
import subprocess
import sys

import pytest
import torch
from conftest import ROOT

from mmvae.training.device import fast_dtype

SCRIPT = """
import resource, sys, torch
from mmvae.training.device import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def step():
    tensors = [torch.zeros(16 * 2**20) for _ in range(3)]
for _ in range(10):  # until what alignment leaves over has found its place
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators are left as they are")
def test_memory_is_not_fetched_anew():
    def faults(word):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", SCRIPT, word]
        return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)

    assert faults("keep") < faults("as it is") / 20


@pytest.mark.parametrize(
    ("has", "fast"), [({}, False), ({"avx2": True}, False), ({"avx512_bf16": True}, True), ({"amx_bf16": True}, True)]
)
def test_fast_dtype_is_what_the_processor_has(has, fast, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has, raising=False)
    assert fast_dtype(torch.device("cpu")) == (torch.bfloat16 if fast else None)
