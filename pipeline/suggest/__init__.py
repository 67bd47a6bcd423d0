"""What an entity list lacks, from a run alone: sounds that recur and that the recogniser doubts."""
