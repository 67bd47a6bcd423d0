"""People review what a run wrote: what they are given, what they answered, and what it changes."""
