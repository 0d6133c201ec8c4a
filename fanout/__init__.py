"""The pipeline on all cores, or on a cluster: `python -m fanout`. The bytes are those of a serial `dvc repro`."""
