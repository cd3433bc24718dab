"""How properties are tested: with the same inputs in every run, or with CTS_EXAMPLES new ones of each."""

from __future__ import annotations

import atexit
import os
import tempfile

from hypothesis import HealthCheck, configuration, settings

_KEPT = tempfile.TemporaryDirectory()  # what Hypothesis keeps: nothing stays in the checkout
atexit.register(_KEPT.cleanup)
configuration.set_hypothesis_home_dir(_KEPT.name)

EXAMPLES = settings(
    max_examples=int(os.environ.get("CTS_EXAMPLES", "100")),
    deadline=None,
    derandomize="CTS_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
