"""Train a LeNet and a strong digit classifier for each modality, and measure them on test images."""

from mmvae import classifiers, config
from mmvae.files import read_arrays, write_json
from mmvae.training.device import find_device
from stages import arguments, run

SEED = 0


def main() -> None:
    name = arguments("set").set
    updates = config.load().classifiers[name].updates
    prepared = read_arrays(f"data/prepared/{name}.npz")
    device = find_device()
    judges: classifiers.Judges = {}
    accuracies: dict = {}
    for modality in config.DIGIT_SETS[name]:
        training, labels = (prepared[f"{modality}/train/{key}"] for key in ("images", "labels"))
        test, test_labels = (prepared[f"{modality}/test/{key}"] for key in ("images", "labels"))
        for kind in classifiers.KINDS:
            model = classifiers.train(kind, training, labels, updates, SEED, device)
            judges.setdefault(kind, {})[modality] = model
            accuracies.setdefault(kind, {})[modality] = classifiers.accuracy(model, test, test_labels, device)
        accuracies.setdefault("test_images", {})[modality] = len(test_labels)
    classifiers.save(f"models/{name}/classifiers.safetensors", judges)
    write_json(f"metrics/{name}/classifiers.json", accuracies)


if __name__ == "__main__":
    run(main)
