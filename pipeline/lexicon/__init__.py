"""What is known of sound without any hypothesis: phones, pronunciations, confusions, distances, alignment."""
