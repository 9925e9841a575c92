"""Laws of runs whose screening asks the products' own masks for a second opinion."""

import numpy as np
import pytest

from pipeline import run, store
from pipeline.config import dump_job, parse_job
from pipeline.errors import ConfigError
from pipeline.run.common.fingerprint import settings_text
from pipeline.run.why import why
from pipeline.types import CompositeSettings, ScreenSettings
from tests.laws.conftest import BANDS, make_job
from tests.laws.test_limited_runs import assert_same, composed, made
from tests.laws.test_why import assert_told, lonlat

pytestmark = pytest.mark.usefixtures("window_model")

PLAIN = CompositeSettings(name="plain", bands=tuple(BANDS), screen=ScreenSettings())
ASKED = PLAIN.replace(name="asked", screen=ScreenSettings(second_opinion="scl"))


@pytest.mark.slow
def test_a_second_opinion_puts_more_aside_whatever_the_tiles(summer, tmp_path):
    job, record = made(summer, tmp_path, (PLAIN, ASKED))
    plain, asked = composed(job, "plain"), composed(job, "asked")
    assert int(asked["count"].sum()) < int(plain["count"].sum())
    np.testing.assert_array_equal(asked["count"] > 0, plain["count"] > 0)
    # Landsat brings no SCL along.
    lacking = {
        name: {
            each
            for tile in record.tiles
            for s in tile.screened
            for each in s.no_opinion
            if s.composite == name
        }
        for name in ("plain", "asked")
    }
    archive = store.open_archive(job.store)
    landsat = {item["id"] for item in archive.items() if "landsat" in item["collection"]}
    assert lacking == {"plain": set(), "asked": landsat}
    assert run.plan_job(job).nothing_to_do
    cut, _ = made(summer, tmp_path, (ASKED,), chunk_px=64, tile_px=192)
    assert_same(composed(cut, "asked"), asked)
    counts = [archive.composite(name)["count"].to_numpy() for name in ("plain", "asked")]
    at = np.argwhere((counts[0] > counts[1]) & (counts[1] > 0))[0].tolist()
    found = why(archive, lonlat(archive, *at[1:]), archive.periods("asked")[at[0]], "asked")
    stored = archive.composite("asked").isel(dict(zip(("time", "y", "x"), at, strict=True)))
    assert_told(archive, found, stored.load())
    aside = [each.why for each in found.seen if each.verdict == "put aside"]
    assert any("its scl calls it" in each for each in aside)


def test_what_no_product_brings_along_is_refused(summer, tmp_path):
    job = make_job(summer, tmp_path / "s")
    away = PLAIN.replace(screen=ScreenSettings(second_opinion="fmask"))
    with pytest.raises(ConfigError, match="no item has fmask"):
        run.plan_job(job.replace(composite=away))


def test_it_is_written_and_read_and_none_is_as_before(summer, tmp_path):
    job = make_job(summer, tmp_path / "s").replace(composite=PLAIN)
    assert dump_job(job)["composite"]["screen"] == {"history_days": 31, "min_dates": 2}
    asked = job.replace(composite=ASKED)
    assert parse_job(dump_job(asked), base=tmp_path) == asked
    assert "second" not in settings_text(PLAIN)
    assert "scl" in settings_text(ASKED)
