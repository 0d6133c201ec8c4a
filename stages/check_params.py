"""Check the whole of params.yaml before any other stage runs; the downloads depend on the constant written here."""

from mmvae import schema
from mmvae.files import atomic
from stages import run


def main() -> None:
    schema.load()
    with atomic("data/params_checked.txt") as path:
        path.write_text("params.yaml is valid\n")


if __name__ == "__main__":
    run(main)
