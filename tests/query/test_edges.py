"""Counts along the edge of an area, from stored counts and runs, against all pixels."""

from datetime import UTC, datetime, timedelta

import numpy as np
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from pipeline.query import edges
from pipeline.query.area import Part
from pipeline.store.read.runs import as_runs
from pipeline.types import Code, StoredMasks, StoredScene

TILE, CODES = 32, len(Code)
START = datetime(2026, 6, 1, tzinfo=UTC)


class Stored:
    """Class codes (scene, y, x) of one tile, kept as a store keeps them; of some squares nothing is counted."""

    def __init__(self, codes, edge_px, chunk_px, counted):
        self.codes, self.chunk_px = codes, chunk_px
        self.asked = []
        padded = np.zeros((len(codes), TILE, TILE), np.uint8)
        padded[:, : codes.shape[1], : codes.shape[2]] = codes
        self.padded = padded
        self.blocks = np.array(
            [
                [
                    np.bincount(codes[(at, *_square(place, edge_px))].ravel(), minlength=CODES)
                    * counted[at]
                    for place in np.ndindex(TILE // edge_px, TILE // edge_px)
                ]
                for at in range(len(codes))
            ],
            np.uint16,
        )

    def masks(self):
        box = GeoBox(self.codes.shape[1:], Affine(10, 0, 0, 0, -10, 0), "EPSG:32632")
        scenes = [
            StoredScene(time=START + timedelta(days=at), platform="a", position=at)
            for at in range(len(self.codes))
        ]
        return StoredMasks(
            geobox=box,
            tile_px=TILE,
            scenes=tuple(scenes),
            searched=(),
            reader=lambda name, _: {"blocks": self.blocks}[name],
            runs=self.runs,
            chunk_px=self.chunk_px,
            has_blocks=True,
        )

    def runs(self, positions, row, col):
        self.asked.append(len(positions))
        where = _square((row, col), self.chunk_px)
        return [as_runs(self.padded[(at, *where)]) for at in positions]


def _square(place, edge_px):
    return tuple(slice(each * edge_px, (each + 1) * edge_px) for each in place)


@settings(max_examples=50)
@given(st.data())
def test_counts_along_an_edge_are_those_of_all_pixels(data):
    draw = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    height, width, n_scenes = (data.draw(st.integers(1, most)) for most in (TILE, TILE, 5))
    # Wide stripes, so that some squares have one class.
    codes = draw.integers(0, CODES, (n_scenes, height, 1)).repeat(width, 2).astype(np.uint8)
    codes = codes[:, np.arange(height) // 8 * 8, :]
    noisy = draw.random(codes.shape) < data.draw(st.sampled_from([0, 0.01, 0.5]))
    codes[noisy] = draw.integers(0, CODES, noisy.sum())
    edge_px, chunk_px = (data.draw(st.sampled_from([8, 16, 32])) for _ in range(2))
    counted = draw.random(n_scenes) < data.draw(st.sampled_from([0.5, 1]))
    stored = Stored(codes, edge_px, chunk_px, counted)
    top, left = (int(draw.integers(0, size)) for size in (height, width))
    bottom, right = int(draw.integers(top, height)) + 1, int(draw.integers(left, width)) + 1
    inside = draw.random((bottom - top, right - left)) < data.draw(st.sampled_from([0.2, 1]))
    window = slice(top, bottom), slice(left, right)
    scenes = np.flatnonzero(draw.random(n_scenes) < 0.8)

    part = Part(row=0, col=0, window=window, inside=inside)
    found = edges.edge_counts(stored.masks(), part, scenes)

    wanted = [np.bincount(codes[(at, *window)][inside], minlength=CODES) for at in scenes]
    np.testing.assert_array_equal(found, np.reshape(wanted, (-1, CODES)))


def test_chunks_of_few_scenes_are_in_memory_at_once():
    n_scenes = 2 * edges.AT_ONCE + 3
    codes = np.random.default_rng(1).integers(0, CODES, (n_scenes, TILE, TILE), np.uint8)
    stored = Stored(codes, 16, 8, np.ones(n_scenes, int))
    inside = np.ones((20, 20), bool)
    part = Part(row=0, col=0, window=(slice(3, 23), slice(5, 25)), inside=inside)
    found = edges.edge_counts(stored.masks(), part, np.arange(n_scenes))
    wanted = [np.bincount(each[3:23, 5:25].ravel(), minlength=CODES) for each in codes]
    np.testing.assert_array_equal(found, wanted)
    assert max(stored.asked) <= edges.AT_ONCE
