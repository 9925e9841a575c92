"""True classes seen through the labels of data sets: as the table of partial labels of SEnSeI-v2's paper has them."""

import numpy as np
import pytest

from pipeline.datasets import READERS, labels, partial
from pipeline.types import Code

EACH = [labels.LAND, labels.WATER, labels.SNOW, labels.THIN, labels.THICK, labels.SHADOW]

TABLE = {
    "cloudsen12": [labels.CLEAR] * 3 + [labels.THIN, labels.THICK, labels.SHADOW],
    "kappaset": [labels.CLEAR] * 3 + [labels.THIN, labels.THICK, labels.SHADOW],
    "cesbio": [labels.LAND, labels.WATER, labels.SNOW, *[labels.CLOUD] * 2, labels.SHADOW],
    "sparcs": [labels.LAND, labels.WATER, labels.SNOW, *[labels.CLOUD] * 2, labels.SHADOW],
    "l8biome": [labels.CLEAR] * 3 + [labels.THIN, labels.THICK, labels.SHADOW],
    "38cloud": [labels.NOT_CLOUD] * 3 + [*[labels.CLOUD] * 2, labels.NOT_CLOUD],
}


@pytest.mark.parametrize("name", TABLE)
def test_a_class_is_called_as_the_table_says(name):
    found = partial.view(READERS[name].card.known)
    assert found[EACH].tolist() == TABLE[name]


@pytest.mark.parametrize(
    "name", [name for name, reader in READERS.items() if partial.says(reader.card)]
)
def test_what_is_true_is_never_ruled_out_and_doubt_is_kept(name):
    found = partial.view(READERS[name].card.known)
    possible = np.arange(256, dtype=np.uint8) & np.uint8(sum(1 << code for code in Code))
    assert ((found & possible) == possible).all()
    for one in EACH:
        for other in EACH:
            assert found[one | other] == found[one] | found[other]
    assert found[labels.NO_DATA] == labels.NO_DATA
    assert found[labels.IGNORED] == labels.IGNORED


def test_sets_that_do_not_label_every_class_are_known():
    assert not partial.says(READERS["unlabelled-chips"].card)
    assert partial.says(READERS["sparcs"].card)
