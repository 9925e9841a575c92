"""The four networks in turn."""

import pytest

from tests.models.oracle import NETWORKS


@pytest.fixture(params=NETWORKS, ids="-".join)
def network(request):
    """(bands, level)."""
    return request.param
