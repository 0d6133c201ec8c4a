"""What this machine has, and what kind of processor it is: results of two kinds may differ in their last digits."""

import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

import yaml


@cache
def kind() -> str:
    """The processor's name, such as `AMD EPYC 9R14`."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES calls the GPUs that this process may use."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name]
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True)
    return done.stdout.split() if done.returncode == 0 else []


def threads(params: Path = Path("params.yaml")) -> int:
    """The threads of one stage, as params.yaml says. Whether that is a number is for the stage check_params to say."""
    try:
        value = yaml.safe_load(params.read_text(encoding="utf-8")).get("threads", 1)
    except (OSError, ValueError, AttributeError, yaml.YAMLError):
        return 1
    return value if isinstance(value, int) and value > 0 else 1
