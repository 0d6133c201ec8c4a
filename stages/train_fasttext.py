"""Word vectors of a caption set's vocabulary, by FastText on its training captions, for each seed."""

from mmvae import params
from mmvae.data import text
from mmvae.evaluation.sentences import FastTextSettings, train_fasttext
from mmvae.files import read_arrays, write_arrays
from stages import arguments, run


def main() -> None:
    name = arguments("set").set
    settings = params.section(FastTextSettings, params.load(), f"fasttext.{name}")
    captions = read_arrays(f"data/captions/{name}.npz")
    vocabulary = captions["vocabulary"].tolist()
    sentences = [
        [word for word in words if word != text.EXC] for words in text.words(captions["train/tokens"], vocabulary)
    ]
    vectors = {str(seed): train_fasttext(sentences, vocabulary, settings, seed) for seed in settings.seeds}
    write_arrays(f"data/fasttext/{name}.npz", vectors)


if __name__ == "__main__":
    run(main)
