"""What carries a run through on Ray: checks, workers, the plan, resuming."""
