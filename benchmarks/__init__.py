"""Measurements that a user can repeat: `python -m benchmarks.<name>`; docs/performance.md says what they gave."""
