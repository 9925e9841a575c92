"""The four networks in turn."""

import pytest
from models_oracle import NETWORKS


@pytest.fixture(params=NETWORKS, ids="-".join)
def network(request):
    """(bands, level)."""
    return request.param
