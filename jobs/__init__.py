"""One module per command; the only place that touches ray.data."""
