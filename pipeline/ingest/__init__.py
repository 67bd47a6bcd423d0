"""From whatever a corpus lies in to rows of the AUDIO schema: layouts list recordings, units of them become shards."""
