"""What judges the hypotheses of the search by their sound."""
