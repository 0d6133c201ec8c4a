"""Check the whole of params.yaml before any other stage runs; every stage depends on the constant written here."""

from mmvae import config
from mmvae.files import atomic
from stages import run


def main() -> None:
    config.load()
    with atomic("data/params_checked.txt") as path:
        path.write_text("params.yaml is valid\n")


if __name__ == "__main__":
    run(main)
