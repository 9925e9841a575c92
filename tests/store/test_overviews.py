"""Overviews and confidence: what a tile writes beside its mask, in the same transaction."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline import store
from pipeline.errors import StoreError
from pipeline.store.arrays import overviews
from pipeline.store.arrays.composites import MISSING
from tests.store.making import JULY, JUNE, ROLES

NAME = "monthly"
FACTORS = (2, 4, 8, 16)


def begin(url, make, *, overviews=True, key="run"):
    return store.open_writer(url, make.grid(), title="t", run_key=key, overviews=overviews)


def fill(writer, make, *, confidence=False, seed=0):
    writer.set_scenes(make.sensor, make.scenes(2), confidence=confidence)
    writer.set_composite(NAME, ROLES, [JUNE], {})
    for n, tile in enumerate(make.grid().tiles()):
        for time in make.times(2):
            codes = make.mask(tile, seed + n)
            given = codes + 90 if confidence else None
            writer.write_mask(make.sensor, time, tile, codes, 9, confidence=given)
        writer.write_composite(NAME, JUNE.start, tile, make.composite(tile, seed + n), 9)


def test_factors_end_where_a_tile_would_be_cut(make):
    assert tuple(overviews.level_grids(make.grid())) == FACTORS
    odd = make.grid(ny=192, nx=96, tile_px=96, chunk_px=32)
    assert tuple(overviews.level_grids(odd)) == FACTORS
    assert tuple(overviews.level_grids(make.grid(tile_px=72, chunk_px=36))) == (2, 4, 8)


@settings(max_examples=25)
@given(
    steps=arrays.arrays(
        np.int16,
        st.tuples(st.integers(1, 70), st.integers(1, 70)),
        elements=st.sampled_from([MISSING, -32767, -1, 0, 1, 2, 5000, 32767]),
    )
)
def test_bands_are_means_of_the_valid_pixels(steps):
    for factor, found in zip(FACTORS, overviews.means(steps, MISSING), strict=True):
        valid = xr.DataArray(np.where(steps == MISSING, np.nan, steps), dims=("y", "x"))
        # xarray's own, with the cut squares filled up.
        filled = valid.pad(y=(0, -steps.shape[0] % factor), x=(0, -steps.shape[1] % factor))
        sums = filled.coarsen(y=factor, x=factor).sum().to_numpy()
        counts = filled.coarsen(y=factor, x=factor).count().to_numpy()
        expected = np.where(counts > 0, np.rint(sums / np.maximum(counts, 1)), MISSING)
        np.testing.assert_array_equal(found, expected)


def test_levels_are_those_of_the_whole_picture_whatever_the_tiles(make, url):
    with begin(url, make) as writer:
        fill(writer, make)
        writer.publish({})
    archive = store.open_archive(url)
    assert archive.levels("masks", make.sensor) == (1, *FACTORS)
    masks, bands = archive.masks(make.sensor), archive.composite(NAME)
    plain = xr.open_zarr(
        archive._session.store,
        group=f"composites/{NAME}",
        consolidated=False,
        mask_and_scale=False,
    )
    for factor in FACTORS:
        small = archive.masks(make.sensor, level=factor)
        for n in range(2):
            expected = overviews.middle_pixels(masks["mask"].to_numpy()[n], factor)
            np.testing.assert_array_equal(small["mask"].to_numpy()[n], expected)
        assert small["mask"].dtype == np.uint8
        assert small.odc.geobox.resolution.x == 20 * factor
        assert small.odc.geobox.crs == masks.odc.geobox.crs
        # The corner does not move.
        assert small.odc.geobox.transform * (0, 0) == masks.odc.geobox.transform * (0, 0)
        composed = archive.composite(NAME, level=factor)
        assert set(composed.data_vars) == set(ROLES)
        for role in ROLES:
            levels = overviews.means(plain[role].to_numpy()[0], MISSING)
            steps = dict(zip(FACTORS, levels, strict=True))[factor]
            values = np.where(steps == MISSING, np.nan, steps * np.float32(1e-4))
            np.testing.assert_allclose(composed[role].to_numpy()[0], values, atol=2e-7)
        assert bands["time"].equals(composed["time"])


def test_a_mask_level_never_invents_a_class(make, path):
    tile = make.grid().tile(0, 0)
    with begin(path, make) as writer:
        writer.set_scenes(make.sensor, make.scenes(1))
        codes = np.where(np.indices(tile.geobox.shape).sum(0) % 2, 1, 6).astype("uint8")
        writer.write_mask(make.sensor, make.times(1)[0], tile, codes, 9)
        writer.publish({})
    for factor in FACTORS:
        small = store.open_archive(path).masks(make.sensor, level=factor)["mask"].to_numpy()
        assert set(np.unique(small)) <= {0, 1, 6}


def test_a_store_without_overviews_gets_them_with_what_it_has(make, path):
    with begin(path, make, overviews=False) as writer:
        fill(writer, make)
        writer.publish({})
    archive = store.open_archive(path)
    assert archive.levels("masks", make.sensor) == (1,)
    with pytest.raises(StoreError, match=r"no overview of factor 2: it has \(1,\)"):
        archive.masks(make.sensor, level=2)
    with begin(path, make) as writer:
        writer.set_scenes(make.sensor, make.scenes(3))
        writer.set_composite(NAME, ROLES, [JUNE, JULY], {})
        writer.publish({})
    with begin(f"{path}-2", make) as writer:
        fill(writer, make)
        writer.set_scenes(make.sensor, make.scenes(3))
        writer.set_composite(NAME, ROLES, [JUNE, JULY], {})
        writer.publish({})
    late, early = store.open_archive(path), store.open_archive(f"{path}-2")
    for factor in (1, *FACTORS):
        for one, other in (
            (late.masks(make.sensor, level=factor), early.masks(make.sensor, level=factor)),
            (late.composite(NAME, level=factor), early.composite(NAME, level=factor)),
        ):
            xr.testing.assert_identical(one.load(), other.load())


def test_what_has_overviews_keeps_them_through_runs_and_forks(make, path):
    with begin(path, make) as writer:
        fill(writer, make)
        writer.publish({})
    tile = make.grid().tile(1, 0)
    with begin(path, make, overviews=False) as writer:
        fork = writer.fork()
        fork.write_mask(make.sensor, make.times(1)[0], tile, make.mask(tile, 99), 10)
        writer.merge([fork])
        writer.publish({})
    small = store.open_archive(path).masks(make.sensor, level=4)["mask"].to_numpy()[0]
    expected = overviews.middle_pixels(make.mask(tile, 99), 4)
    np.testing.assert_array_equal(small[16:32, :16], expected)


def test_confidence_is_read_beside_the_mask(make, url):
    with begin(url, make, overviews=False) as writer:
        fill(writer, make, confidence=True)
        writer.publish({})
    masks = store.open_archive(url).masks(make.sensor)
    assert masks["confidence"].dtype == np.uint8
    np.testing.assert_array_equal(masks["confidence"], masks["mask"] + 90)


def test_confidence_comes_later_and_stays(make, path):
    first, tile = make.times(2)[0], make.grid().tile(0, 0)
    codes = make.mask(tile)
    with begin(path, make, overviews=False) as writer:
        fill(writer, make)
        with pytest.raises(ValueError, match="ask for it in set_scenes"):
            writer.write_mask(make.sensor, first, tile, codes, 9, confidence=codes)
        writer.commit("without")
        writer.set_scenes(make.sensor, make.scenes(2), confidence=True)
        writer.commit("with")
        fork = writer.fork()
        fork.write_mask(make.sensor, first, tile, codes, 10, confidence=codes + 1)
        writer.merge([fork])
        writer.publish({})
    masks = store.open_archive(path).masks(make.sensor)
    assert int(masks["confidence"].sum()) == int((codes + 1).sum())
    with begin(path, make, overviews=False) as writer:
        # Masked again by a run that keeps none: it must not keep the old one's.
        writer.set_scenes(make.sensor, make.scenes(3))
        writer.write_mask(make.sensor, first, tile, codes, 11)
        writer.publish({})
    assert not store.open_archive(path).masks(make.sensor)["confidence"].any()
