"""Everything that fits weights: the base model, its spelling branch, the adapter, the guard, the G2P."""
