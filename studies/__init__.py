"""Questions that go beyond the pipeline, each with its own dvc.yaml; its page is the out of the last stage."""

import os

os.environ |= {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}  # as for stages: a user's settings reach no picture
