"""What the rows of the datasets turn into: tokens, emissions, hypotheses, entities."""
