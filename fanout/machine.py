"""What this machine has, and what kind of processor it is: results of two kinds may differ in their last digits."""

import os
import platform
import shutil
import subprocess
from functools import cache
from itertools import takewhile
from pathlib import Path

import yaml

INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")  # by which torch chooses how it sums, the widest first


@cache
def kind(gpu: bool = False) -> str:
    """The processor's name and its widest instructions, such as `AMD EPYC, avx2`: a cloud gives several one name.

    The name of a GPU for work that wants one, if there is one.
    """
    names = _nvidia("name") if gpu and gpus() else []
    return names[0] if names else processor(Path("/proc/cpuinfo"))


def processor(info: Path) -> str:
    """As `kind`, from what Linux says of the cores, if it does."""
    text = info.read_text(encoding="utf-8", errors="replace") if info.exists() else ""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    name = found.get("model name") or platform.processor() or platform.machine()
    flags = found.get("flags", "").split()
    return ", ".join([name, *[flag for flag in INSTRUCTIONS if flag in flags][:1]])


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES calls the GPUs that this process may use."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        names = (name.strip() for name in os.environ["CUDA_VISIBLE_DEVICES"].split(","))
        return list(takewhile(lambda name: name not in ("", "-1", "NoDevFiles"), names))  # CUDA stops there, too
    return _nvidia("index")


def _nvidia(field: str) -> list[str]:
    """What the driver says of each GPU."""
    if not shutil.which("nvidia-smi"):
        return []
    done = subprocess.run(
        ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader"], capture_output=True, text=True
    )
    return done.stdout.splitlines() if done.returncode == 0 else []


def threads(params: Path = Path("params.yaml")) -> int:
    """The threads of one stage, as params.yaml says. Whether that is a number is for the stage check_params to say."""
    try:
        value = yaml.safe_load(params.read_text(encoding="utf-8")).get("threads", 1)
    except (OSError, ValueError, AttributeError, yaml.YAMLError):
        return 1
    return value if isinstance(value, int) and value > 0 else 1
