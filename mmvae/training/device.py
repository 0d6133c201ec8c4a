"""The hardware that work runs on: found, never configured."""

import ctypes
import os
import platform

import torch

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # glibc's malloc.h


def find_device() -> torch.device:
    """The first GPU if there is one, else the CPU; made ready for repeatable work in full float32."""
    if not torch.cuda.is_available():
        keep_freed_memory()
        return torch.device("cpu")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs to repeat itself
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda", 0)


def keep_freed_memory() -> None:
    """Let glibc hand freed memory to the next allocation instead of back to the system.

    A training step frees and asks for the same hundreds of megabytes; fetching and clearing them anew from the system
    took up to half of its time. Does nothing elsewhere than on glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    for option, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_TOP_PAD, 2**26)):
        mallopt(option, value)


def fast_dtype(device: torch.device) -> torch.dtype | None:
    """bfloat16 where the hardware multiplies it faster than float32, else None."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else None
    has = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.bfloat16 if has.get("avx512_bf16") or has.get("amx_bf16") else None
