"""How hypothesis is used: a number of examples, the same ones each time."""

from hypothesis import HealthCheck, settings


def examples(count: int) -> settings:
    """That many examples, the same ones each time."""
    return settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
