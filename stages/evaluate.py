"""Measure one trained run: latent accuracy, coherence and log-likelihoods on test pairs."""

from mmvae import classifiers, config, models
from mmvae.device import find_device
from mmvae.evaluation.coherence import coherence
from mmvae.evaluation.latent_accuracy import latent_accuracy
from mmvae.evaluation.likelihood import likelihoods
from mmvae.files import write_json
from stages import arguments, inputs, run


def main() -> None:
    given = arguments("set", "run", "seed")
    settings = config.load().evaluate[given.set]
    device = find_device()
    model = models.load(f"models/{given.set}/{given.run}/{given.seed}.safetensors", device)
    pairs = inputs.DigitPairs(given.set, device)
    (training, training_digits), (test, test_digits) = (
        ({name: images[name] for name in model.modalities}, digits)
        for images, digits in (pairs.first_pass("train"), pairs.first_pass("test"))
    )
    few = {name: images[: settings.likelihood_pairs] for name, images in test.items()}
    judges = classifiers.load(f"models/{given.set}/classifiers.safetensors", config.DIGIT_SETS[given.set], device)
    write_json(
        f"data/evaluations/{given.set}/{given.run}_{given.seed}.json",
        {
            "latent_accuracy": latent_accuracy(model, training, training_digits, test, test_digits, given.seed),
            "coherence": coherence(model, test, test_digits, judges, settings.joint_samples, given.seed),
            "likelihood": likelihoods(model, few, settings.likelihood_samples, given.seed),
            "test_pairs": {"all": len(test_digits), "likelihood": len(next(iter(few.values())))},
        },
    )


if __name__ == "__main__":
    run(main)
