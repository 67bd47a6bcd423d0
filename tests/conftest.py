"""Property tests draw the same examples on every run, so that a failure belongs to the change that it follows.

``HYPOTHESIS_PROFILE=explore make unit`` draws others; what it finds becomes a test of its own.
"""

import os

from hypothesis import settings

from tests.support.dev_set import dev_set

__all__ = ["dev_set"]  # fixtures that several folders use

settings.register_profile("same", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
