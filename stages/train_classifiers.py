"""Train a LeNet and a strong digit classifier for each modality of images, and measure them on test images."""

from mmvae import params, registry
from mmvae.evaluation import classifiers
from mmvae.evaluation.measured import table
from mmvae.files import read_arrays, write_table
from mmvae.training.device import find_device
from stages import arguments, run

SEED = 0


def main() -> None:
    name = arguments("set").set
    settings = params.section(classifiers.ClassifierSettings, params.load(), f"classifiers.{name}")
    prepared = read_arrays(f"data/prepared/{name}.npz")
    device = find_device()
    judges: classifiers.Judges = {}
    accuracies: dict = {}
    for modality in classifiers.images(registry.find("datasets", name).MODALITIES):
        training, labels = (prepared[f"{modality}/train/{key}"] for key in ("values", "labels"))
        test, test_labels = (prepared[f"{modality}/test/{key}"] for key in ("values", "labels"))
        for kind in classifiers.KINDS:
            model = classifiers.train(kind, training, labels, settings, SEED, device)
            judges.setdefault(kind, {})[modality] = model
            accuracies.setdefault(kind, {})[modality] = classifiers.accuracy(model, test, test_labels, device)
    classifiers.save(f"models/{name}/classifiers.safetensors", judges, settings.channels)
    write_table(f"data/evaluations/{name}/classifiers_{SEED}.csv", table({"accuracy": accuracies}))


if __name__ == "__main__":
    run(main)
