"""What depends on the recogniser, fitted to speech of a user's own: weights, spelling by ear, and the guard."""
