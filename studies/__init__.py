"""Questions that go beyond the pipeline, each with its own dvc.yaml; its page is the out of the last stage."""
