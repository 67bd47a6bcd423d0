"""A run as a data product: its folder, record, manifest, cache, and how to read it."""
