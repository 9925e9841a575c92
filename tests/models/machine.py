"""What a test needs of the machine."""

import pytest

from pipeline.models.families import machine

needs_bfloat16 = pytest.mark.skipif(
    not machine.has_bfloat16(), reason="this CPU does not calculate in bfloat16"
)
PRECISIONS = ["float32", pytest.param("bfloat16", marks=needs_bfloat16)]
"""Those of a CPU."""
