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
SYSTEMS = "metrics.systems"  # which `evaluate_system` measures too
EXTRACTING = ("extract_features", "evaluate_captions", "caption_examples")


def modules(content: dict) -> dict[str, list[str]]:
    """File under code/ -> the modules that it covers, with all that they import."""
    found = {"check_params.txt": ["stages.check_params"]}
    for data_set in (*content["digit_sets"], *content["caption_sets"]):
        data = registry.find("datasets", data_set)
        metrics = f"metrics.{data.FAMILY}"
        measured = {"evaluate": [metrics], "evaluate_captions": [metrics], "evaluate_system": [metrics, SYSTEMS]}
        for stage in sorted(path.stem for path in STAGES.glob("[!_]*.py")):
            named = [f"mmvae.{folder}.{name}" for folder in measured.get(stage, []) for name in registry.names(folder)]
            if stage == "figure_pairs" and data.FAMILY == "digits":
                named += [f"mmvae.kinds.{kind}" for kind in data.MODALITIES.values()]
            if stage in EXTRACTING and data_set in content["features"]:
                named.append(f"mmvae.extractors.{content['features'][data_set]['network']}")
            found[f"{data_set}/{stage}.txt"] = [f"stages.{stage}", f"mmvae.datasets.{data_set}", *named]
        for name, one in runs.of_set(content, data_set).items():
            found[f"{data_set}/runs/{name}.txt"] = one.modules
    return found


def main() -> None:
    files = modules(params.load()) | {f"{module}.txt": [module] for module in sys.argv[1:]}
    hashes = {file: code_hash(*names) for file, names in files.items()}
    shutil.rmtree("code", ignore_errors=True)
    for name, value in hashes.items():
        with atomic(f"code/{name}") as path:
            path.write_text(f"{value}\n")


if __name__ == "__main__":
    run(main)
