"""Property tests draw the same examples on every run, so that a failure belongs to the change that it follows.

``HYPOTHESIS_PROFILE=explore make unit`` draws others; what it finds becomes a test of its own.
"""

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
