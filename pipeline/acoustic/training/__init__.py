"""Training of the base model: cached features of the frozen backbone, batches, losses, the loop."""
