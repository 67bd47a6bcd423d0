"""Which worker of pytest-xdist runs a test: all that starts Ray is on one, and files stay whole but for that."""

import pytest

RAY = pytest.mark.xdist_group("ray")
"""The mark of a test that starts a Ray of its own; ``pytestmark = RAY`` where the whole file does."""


def share_out(items: list[pytest.Item]) -> None:
    """Give every test a group, and put those with Ray first: they take longest, and the other worker does the rest."""
    with_ray, others = list[pytest.Item](), list[pytest.Item]()
    for item in items:
        (with_ray if _starts_ray(item) else others).append(item)
    for item in with_ray:
        item.add_marker(RAY)
    for item in others:
        item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    items[:] = with_ray + others


def _starts_ray(item: pytest.Item) -> bool:
    marked = item.get_closest_marker("xdist_group")
    return marked is not None or "ray_running" in getattr(item, "fixturenames", ())
