"""A hash of the code behind every stage and run: code/<set>/<stage>.txt and code/<set>/runs/<run>.txt.

A run's file covers its model and kinds, a stage's all that the stage imports; no list of modules can be incomplete.
Modules that are named, as a study's are, get code/<module>.txt.
"""

import shutil
import sys
from pathlib import Path

from mmvae import params, registry, runs
from mmvae.closure import code_hash
from mmvae.files import atomic
from stages import run

STAGES = Path(__file__).parent


def main() -> None:
    content = params.load()
    files = {"check_params.txt": code_hash("stages.check_params")}
    files |= {f"{module}.txt": code_hash(module) for module in sys.argv[1:]}
    for data_set in (*content["digit_sets"], *content["caption_sets"]):
        module = f"mmvae.datasets.{data_set}"
        metrics = f"metrics.{registry.find('datasets', data_set).FAMILY}"
        for stage in sorted(path.stem for path in STAGES.glob("[!_]*.py")):
            measured = [f"mmvae.{metrics}.{name}" for name in registry.names(metrics)] if "evaluate" in stage else []
            files[f"{data_set}/{stage}.txt"] = code_hash(f"stages.{stage}", module, *measured)
        for name, one in runs.of_set(content, data_set).items():
            files[f"{data_set}/runs/{name}.txt"] = code_hash(*one.modules)
    shutil.rmtree("code", ignore_errors=True)
    for name, value in files.items():
        with atomic(f"code/{name}") as path:
            path.write_text(f"{value}\n")


if __name__ == "__main__":
    run(main)
