"""`python -m mmvae.report` prints the tables of all data sets as Markdown; `... digits` those of one."""

import sys
from pathlib import Path

from mmvae import params, registry, tables
from mmvae.files import FileError
from mmvae.params import ParamsError


def main() -> None:
    try:
        content = params.load()
        for name in sys.argv[1:] or [*content["digit_sets"], *content["caption_sets"]]:
            family = registry.find("datasets", name).FAMILY
            print(f"Data set: {name}\n\n{tables.markdown(Path(f'metrics/{name}.csv'), family)}\n")
    except (FileError, ParamsError, registry.UnknownName, registry.UnusableFile) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
