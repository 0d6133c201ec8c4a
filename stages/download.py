"""Fetch the raw files of one data set from their official addresses or a mirror; paint the embedded one."""

from pathlib import Path

from mmvae import params
from mmvae.data import sources
from stages import arguments, run


def main() -> None:
    name = arguments("set").set
    sources.obtain(name, Path("data/raw") / name, params.load()["download"]["mirror"])


if __name__ == "__main__":
    run(main)
