"""What the hardware could do at best: its matrix products, the colour decoder's layers, and the floor of a pair.

The floor counts the multiplications of the screen (in reduced precision where the hardware has it), of the refinement
and of the encoders, forward and backward, at the speed of a large matrix product.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.setup import show
from mmvae.kinds.colour import Decoder
from mmvae.training.device import fast_dtype, find_device

ROWS = {"cpu": 256, "cuda": 7680}
MFLOP = {"decoders": 9.90, "encoders": 10.0}  # of one particle, of one pair, forward: reproduction.md's count, doubled


def seconds(work: Callable[[], Tensor], device: torch.device, repeats: int = 40) -> float:
    """Median time of `work`, after two calls that are not counted."""
    taken = []
    for _ in range(repeats + 2):
        begin = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken[2:])


@torch.no_grad()
def layers(device: torch.device, dtype: torch.dtype) -> dict[str, float]:
    """Microseconds an image of each layer of the colour decoder, and of torch's transposed convolution in its place."""
    rows = ROWS[device.type]
    decoder = Decoder(20, 32).to(device, dtype).to(memory_format=torch.channels_last)
    plain = nn.ConvTranspose2d.forward
    h, found = torch.randn(rows, 20, device=device, dtype=dtype), {}
    for name, layer in decoder.named_children():
        image = h if h.dim() == 4 else h[:, :, None, None]
        found[name] = seconds(lambda layer=layer, h=h: layer(h), device) / rows * 1e6
        found[f"{name}_plain"] = seconds(lambda layer=layer, h=image: plain(layer, h), device) / rows * 1e6
        h = layer(h).relu()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--particles", type=int, default=30)
    parser.add_argument("--kept", type=float, default=3.5, help="particles of a pair that are refined")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    device = find_device()
    result, peak = {}, {}
    for dtype in dict.fromkeys((torch.float32, fast_dtype(device) or torch.float32)):
        name = str(dtype).removeprefix("torch.")
        size = 2048 if device.type == "cpu" else 8192
        a, b = torch.randn(2, size, size, device=device).to(dtype)
        peak[dtype] = 2 * size**3 / seconds(lambda a=a, b=b: a @ b, device, 10)
        result[f"gflops_{name}"] = peak[dtype] / 1e9
        result |= {f"{layer}_us_{name}": value for layer, value in layers(device, dtype).items()}
    screen = 2 * given.particles * MFLOP["decoders"] * 1e6 / peak[fast_dtype(device) or torch.float32]
    rest = 3 * (given.kept * MFLOP["decoders"] + MFLOP["encoders"]) * 1e6 / peak[torch.float32]
    result |= {"floor_ms_per_pair": 1e3 * (screen + rest), "floor_pairs_per_second": 1 / (screen + rest)}
    show(result, given.json)


if __name__ == "__main__":
    main()
