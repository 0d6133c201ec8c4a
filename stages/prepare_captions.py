"""The vocabulary of a caption set, and its captions as words of that vocabulary."""

from pathlib import Path

from mmvae import params, registry
from mmvae.data import photographs, text
from mmvae.files import read_arrays, write_arrays
from stages import arguments, run


def main() -> None:
    name = arguments("set").set
    settings = params.section(text.CaptionWords, params.load(), f"captions.{name}")
    images = read_arrays(f"data/pixels/{name}.npz")
    sentences = {}
    for split in photographs.SPLITS:
        names = images[f"{split}/names"].tolist()
        captions = registry.find("datasets", name).read_captions(Path("data/raw") / name, names)
        sentences[split] = text.sentences(names, captions)
    vocabulary = text.vocabulary(sentences["train"], settings.min_count)
    arrays = {f"{split}/tokens": text.encode(some, vocabulary) for split, some in sentences.items()}
    write_arrays(f"data/captions/{name}.npz", arrays | {"vocabulary": vocabulary})


if __name__ == "__main__":
    run(main)
