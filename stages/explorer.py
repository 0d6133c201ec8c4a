"""Two runs side by side in one HTML file, in which their latents can be moved."""

import html
from pathlib import Path

from mmvae import explore
from mmvae.explorer import graph
from mmvae.files import atomic
from stages import arguments, run


def main() -> None:
    given = arguments("set", "left", "right", "seed")
    path = Path(f"plots/{given.set}/explorer.html")
    try:
        explore.write(given.set, [given.left, given.right], given.seed, path)
    except graph.UnknownOperation as error:  # of a user's own network, for which the pipeline need not stop
        with atomic(path) as page:
            page.write_text(f"<!doctype html>\n<title>Explorer</title>\n<p>{html.escape(str(error))}</p>\n")


if __name__ == "__main__":
    run(main)
