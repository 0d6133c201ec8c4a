"""Measure one trained run on test pairs: latent accuracy, coherence, log-likelihoods, and how the first two grew."""

from pathlib import Path

from mmvae import classifiers, config, models
from mmvae.classifiers import STRONG
from mmvae.evaluation.coherence import coherence
from mmvae.evaluation.latent_accuracy import latent_accuracy
from mmvae.evaluation.learning import earlier_draws, kept, learned
from mmvae.evaluation.likelihood import likelihoods
from mmvae.files import read_csv, write_csv, write_json
from mmvae.training.device import find_device
from stages import arguments, inputs, run


def main() -> None:
    given = arguments("set", "run", "seed")
    settings = config.load().evaluate[given.set]
    device = find_device()
    weights = Path(f"models/{given.set}/{given.run}")
    model = models.load(weights / f"{given.seed}.safetensors", device)
    pairs = inputs.DigitPairs(given.set, device)
    (training, training_digits), (test, test_digits) = (
        ({name: images[name] for name in model.modalities}, digits)
        for images, digits in (pairs.first_pass("train"), pairs.first_pass("test"))
    )
    few = {name: images[: settings.likelihood_pairs] for name, images in test.items()}
    judges = classifiers.load(f"models/{given.set}/classifiers.safetensors", config.DIGIT_SETS[given.set], device)

    def measure(model: models.MultimodalVAE, judges: classifiers.Judges, draws: int) -> dict:
        return {
            "latent_accuracy": latent_accuracy(model, training, training_digits, test, test_digits, given.seed),
            "coherence": coherence(model, test, test_digits, judges, draws, given.seed),
        }

    measured = measure(model, judges, settings.joint_samples)
    curve = read_csv(f"plots/{given.set}/curves/{given.run}_{given.seed}.csv")
    strong, fewer = {STRONG: judges[STRONG]}, earlier_draws(settings.joint_samples)
    *earlier, (last, _) = kept(weights / f"{given.seed}_epochs", curve)
    rows = [learned(row, **measure(models.load(path, device), strong, fewer)) for row, path in earlier]
    rows.append(learned(last, **measured))
    write_json(
        f"data/evaluations/{given.set}/{given.run}_{given.seed}.json",
        measured
        | {
            "likelihood": likelihoods(model, few, settings.likelihood_samples, given.seed),
            "test_pairs": {"all": len(test_digits), "likelihood": len(next(iter(few.values())))},
        },
    )
    write_csv(f"plots/{given.set}/learning/{given.run}_{given.seed}.csv", rows)


if __name__ == "__main__":
    run(main)
