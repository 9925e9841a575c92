"""More shadow than clouds can throw."""

import pytest

from pipeline.mask import too_much_shadow


@pytest.mark.parametrize(
    ("data", "cloud", "shadow", "doubtful"),
    [
        (0, 0, 0, False),
        (1000, 0, 30, False),  # of clouds beside the scene
        (1000, 0, 31, True),  # haze called shadow
        (1000, 100, 330, False),  # a low sun
        (1000, 100, 331, True),
        (1000, 1000, 0, False),
    ],
)
def test_shadow_against_cloud(data, cloud, shadow, doubtful):
    assert too_much_shadow(data, cloud, shadow) is doubtful
