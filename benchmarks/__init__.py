"""Measurements that a user can repeat: `python -m benchmarks.<name>`; docs/performance.md says what they gave."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is loaded: threads that wait leave their core
