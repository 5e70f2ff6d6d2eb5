"""Property tests draw the same examples in every run: a failure is never a matter of luck."""

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("same")
