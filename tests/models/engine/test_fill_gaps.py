"""The mirror at the border of the data."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.models.engine import fill_gaps


def test_repeats_the_border_then_mirrors():
    row = np.arange(40, dtype=np.float32)
    window = np.tile(row, (2, 3, 1))
    window[:, :, 20:] = np.nan
    filled = fill_gaps.mirror(window, fill_gaps.is_missing(window))
    repeated = [19] * fill_gaps.REPEAT_PX
    # Pixel 28 lies 9 behind the border pixel 19, so it shows pixel 10; nothing is farther than 0.
    mirrored = [19 - k for k in range(fill_gaps.REPEAT_PX + 1, 20)] + [19]
    assert filled[0, 0, 20:].tolist() == repeated + mirrored
    assert filled[0, 0, :20].tolist() == row[:20].tolist()


def test_a_pixel_that_lacks_one_band_takes_no_part():
    window = np.ones((2, 4, 4), np.float32)
    window[0, 1, 1], window[1, 1, 1] = np.nan, 9
    filled = fill_gaps.mirror(window, fill_gaps.is_missing(window))
    assert (filled == 1).all()


@given(missing=hnp.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_keeps_data_and_invents_nothing(missing):
    if missing.all():
        return
    values = np.arange(missing.size, dtype=np.float32).reshape(missing.shape)
    window = np.where(missing, np.nan, np.stack([values, -values]))
    filled = fill_gaps.mirror(window, fill_gaps.is_missing(window))
    assert np.array_equal(filled[:, ~missing], window[:, ~missing])
    assert np.isin(filled[0], values[~missing]).all()
    assert np.array_equal(filled[0], -filled[1])
    assert np.isnan(window[0]).sum() == missing.sum()


@given(st.data())
def test_a_rectangle_is_filled_as_any_shape_is(data):
    """The short way round a rectangle gives what the general one gives."""
    size = [data.draw(st.integers(1, 60)) for _ in range(2)]
    starts = [data.draw(st.integers(0, each - 1)) for each in size]
    stops = [
        data.draw(st.integers(start + 1, end)) for start, end in zip(starts, size, strict=True)
    ]
    held = tuple(slice(*each) for each in zip(starts, stops, strict=True))
    missing = np.ones(size, bool)
    missing[held] = False
    window = np.arange(2 * missing.size, dtype=np.float32).reshape(2, *size)
    window[:, missing] = np.nan
    general = window.copy()
    fill_gaps._fill_gaps(general, missing)
    np.testing.assert_array_equal(fill_gaps.mirror(window, missing), general)
