"""Questions that go beyond the pipeline, each with its own dvc.yaml; its page is the out of the last stage."""

import stages  # noqa: F401 (what a user's settings say reaches no stage of a study either)
