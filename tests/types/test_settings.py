"""The settings: what is stored of them stays the same, and no way leads to wrong ones."""

import json
import pickle
import types

import pytest
from pydantic import ValidationError

from pipeline.config import dump_job, parse_job
from pipeline.run.common.fingerprint import model_text, settings_text
from pipeline.testing.jobs import make_job
from pipeline.types import CompositeSettings, GridSettings, Job, Lattice, ShadowSettings, Source

WRITTEN = {
    "name": "demo",
    "aoi": [9, 50, 10, 51],
    "datetime": "2023-06-01/2023-08-31",
    "sources": {
        "catalog": "https://stac.example.org/v1",
        "collections": ["a"],
        "query": {"eo:cloud_cover": {"lt": 80}},
    },
    "store": "s3://bucket/region",
    "cube": {"hosts": ["Minio.internal:9000"]},
    "grid": {"anchor": [15, -15], "tile_px": 512},
    "mask": {
        "model": "m",
        "options": {"a": [1, 2.5, None]},
        "clean": {"cloud": {"dilate_m": 60}, "shadow": {"min_hole_m2": 900}},
        "shadows": {"highest_m": 4000},
        "confidence": True,
        "guard": {"min_dates": 12},
    },
    "composite": {"bands": ["red", "nir"], "period": "season"},
    "run": {
        "memory_bytes": "4 GiB",
        "cluster": {"kind": "address", "address": "tcp://s:8786", "mask_on": {"GPU": 1}},
    },
}

# What was stored when the settings were dataclasses: a change makes every store's cells new.
DUMPED = (
    '{"name": "demo", "aoi": {"type": "Polygon", "coordinates": [[[10.0, 50.0], '
    '[10.0, 51.0], [9.0, 51.0], [9.0, 50.0], [10.0, 50.0]]]}, "datetime": '
    '"2023-06-01T00:00:00Z/2023-09-01T00:00:00Z", "sources": [{"catalog": '
    '"https://stac.example.org/v1", "collections": ["a"], "query": {"eo:cloud_cover": '
    '{"lt": 80}}, "filter": {}}], "store": "s3://bucket/region", "cube": {"loader": '
    '"odc-stac", "unreadable": "drop", "hosts": ["minio.internal:9000"]}, "grid": '
    '{"crs": "utm", "resolution_m": 10.0, "anchor": [15.0, -15.0], "tile_px": 512, '
    '"chunk_px": 256}, "mask": {"model": "m", "options": {"a": [1, 2.5, null]}, '
    '"clean": {"cloud": {"open_m": 0.0, "close_m": 0.0, "min_object_m2": 0.0, '
    '"min_hole_m2": 0.0, "dilate_m": 60.0}, "shadow": {"open_m": 0.0, "close_m": 0.0, '
    '"min_object_m2": 0.0, "min_hole_m2": 900.0, "dilate_m": 0.0}}, "shadows": '
    '{"drop": true, "add": false, "lowest_m": 200.0, "highest_m": 4000.0, '
    '"lowest_sun": 30.0, "tolerance_m": 100.0, "dark_by": 0.05, "dark_within_m": '
    '500.0}, "confidence": true, "guard": {"history_days": 365, "min_dates": 12, '
    '"share": 0.8, "clear": 0.9, "cell_px": 256}}, "composite": {"name": "monthly", '
    '"method": "median", "period": "season", "bands": ["red", "nir"]}, "run": '
    '{"workers": 2, "cluster": {"kind": "address", "workers": 2, "address": '
    '"tcp://s:8786", "mask_on": {"GPU": 1.0}}, "memory_bytes": 4294967296, '
    '"overviews": false, "min_completeness": 0.9}, "stac": null}'
)
MODEL_TEXT = (
    '["m","1","0",["red"],[512,64],[],{"add":false,"dark_by":0.05,"dark_within_m":500'
    '.0,"drop":true,"highest_m":4000.0,"lowest_m":200.0,"lowest_sun":30.0,"tolerance_'
    'm":100.0},"confidence",{"cloud":{"close_m":0.0,"dilate_m":60.0,"min_hole_m2":0.0'
    ',"min_object_m2":0.0,"open_m":0.0},"shadow":{"close_m":0.0,"dilate_m":0.0,"min_h'
    'ole_m2":900.0,"min_object_m2":0.0,"open_m":0.0}}]'
)
COMPOSITE_TEXT = (
    '["median",["red","nir"],{"cell_px":256,"clear":0.9,"history_days":365,"min_dates'
    '":12,"share":0.8}]'
)


def test_what_stores_and_fingerprints_have_of_settings_stays_equal_to_the_byte():
    job = parse_job(WRITTEN)
    card = types.SimpleNamespace(
        name="m",
        version="1",
        weights_sha256="0",
        roles=("red",),
        lattice=Lattice(core_px=512, halo_px=64),
        options={},
        pixel_m=None,
    )
    assert json.dumps(dump_job(job)) == DUMPED
    assert model_text(card, job.mask) == MODEL_TEXT
    assert settings_text(job.composite, job.mask.guard) == COMPOSITE_TEXT


def test_options_of_a_method_decide_its_fingerprint():
    texts = [
        settings_text(CompositeSettings(method="percentile", options=options))
        for options in ({}, {"q": 25}, {"q": 25.0}, {"q": 75})
    ]
    assert texts[1] == texts[2]
    assert len(set(texts)) == 3
    job = parse_job(WRITTEN)
    assert job.composite is not None
    asked = job.replace(composite=job.composite.replace(options={"q": 75}))
    assert dump_job(asked)["composite"]["options"] == {"q": 75}
    assert hash(asked.composite) != hash(job.composite)


def test_a_job_arrives_at_a_worker_as_it_left():
    job = parse_job(WRITTEN)
    arrived = pickle.loads(pickle.dumps(job))
    assert type(arrived) is Job
    assert arrived == job
    assert hash(arrived.composite) == hash(job.composite)


def test_a_job_written_in_python_equals_the_same_job_in_a_file():
    """Whole numbers are numbers: 60 and 60.0 make one fingerprint."""
    job = parse_job(WRITTEN)
    assert job.replace(grid=GridSettings(anchor=(15, -15), tile_px=512, resolution_m=10)) == job
    assert repr(GridSettings(resolution_m=10).resolution_m) == "10.0"


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: GridSettings(tile_px=1000), "tile_px"),
        (lambda: GridSettings().replace(chunk_px=384), "tile_px"),
        (lambda: ShadowSettings(highest_m=100.0), "lowest_m"),
        (lambda: CompositeSettings(bands=("green", "gren")), "did you mean green"),
        (lambda: make_job(sources=()), "at least 1"),
        (lambda: make_job(nane="x"), "nane"),
    ],
)
def test_no_way_leads_to_wrong_settings(make, part):
    with pytest.raises(ValidationError) as caught:
        make()
    assert part in str(caught.value)


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        GridSettings().crs = "EPSG:3035"


def test_a_mistake_beside_a_secret_does_not_print_it():
    with pytest.raises(ValidationError) as caught:
        Source(url="https://me:hunter2@stac.example.org")
    assert "hunter2" not in str(caught.value)
