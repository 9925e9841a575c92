"""`why` of methods that weigh more than bands: view angles stated later, distances asked by another package."""

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline import run, store
from pipeline.composite import Composed
from pipeline.composite import methods as table
from pipeline.run.why import why, words
from pipeline.types import CompositeSettings, GridSettings
from tests.faults.small_region import LANDSAT
from tests.laws.test_reach_runs import assert_alike
from tests.laws.test_reach_runs import composed as made_by
from tests.laws.test_why import lonlat

BANDS = ("blue", "red")
STEEP = CompositeSettings(
    name="steep", method="best", options={"weights": {"view": 1}}, bands=BANDS
)
PLAIN = CompositeSettings(name="plain", bands=BANDS)


@pytest.mark.parametrize(("settings", "named"), [(STEEP, True), (PLAIN, False)])
def test_a_pixel_that_differs_for_angles_stated_later_says_so(settings, named):
    asked = SimpleNamespace(settings=settings, guessed=False)
    looked = SimpleNamespace(
        failure=None, never=False, as_made=True, cells=SimpleNamespace(around=())
    )
    notes = " ".join(words._notes(asked, looked, ["red"]))
    assert "differs from the stored one in red" in notes
    assert ("other view angles" in notes) == named


def state(region, angles):
    """Let items state view angles."""
    for item, angle in angles.items():
        seen = {"view:azimuth": 105.0, "view:incidence_angle": angle}
        region.edit(item, lambda document, seen=seen: document["properties"].update(seen))


@pytest.mark.slow
@pytest.mark.usefixtures("threshold")
def test_angles_stated_after_a_composite_was_made_are_told_of(region):
    """From the run to the answer: nothing is made again, and `why` says what it would be, and why it differs."""
    state(region, {LANDSAT: 2.0})
    job = region.job(composite=STEEP.replace(period="all"))
    run.run(job)
    archive = store.open_archive(job.store)
    made = archive.composite("steep").load().isel(time=0)
    several = np.argwhere(made["count"].values > 1)
    at = tuple(several[len(several) // 2].tolist())
    where, (period,) = lonlat(archive, *at), archive.periods("steep")
    before = why(archive, where, period, "steep")
    assert before.agrees
    assert not before.notes
    # The one that was taken was seen from the side, the others from above.
    state(region, dict.fromkeys(archive.item_ids, 2.0) | {before.taken.item: 40.0})
    run.run(job)
    archive = store.open_archive(job.store)
    assert archive.composite("steep").load().isel(time=0).identical(made)
    after = why(archive, where, period, "steep")
    assert after.stored == before.stored
    assert after.agrees is False
    assert after.as_made
    assert after.made_again["source"] != after.stored["source"]
    (note,) = after.notes
    assert "other view angles now than when it was made" in note
    assert "source" in note
    # A store whose composite is made of what is stated now agrees.
    fresh = job.replace(store=str(region.folder / "fresh"))
    run.run(fresh)
    agreed = why(store.open_archive(fresh.store), where, period, "steep")
    assert agreed.agrees
    assert agreed.stored == after.made_again
    assert not agreed.notes


@dataclass(frozen=True)
class Farthest:
    """A method of another package, which inherits nothing: the observation farthest from clouds."""

    reach_m: float = 300.0
    needs = ("to_cloud_m",)
    wants = ()
    layers = {"away": "metres to the nearest cloud, at most the reach"}

    def compose(self, seen):
        away = np.minimum(seen.to_cloud_m, self.reach_m)
        chosen = away.argmax(axis=0)
        here = np.arange(chosen.size)
        return Composed(
            values=seen.bands[chosen, :, here].T,
            chosen=chosen,
            layers={"away": away[chosen, here]},
        )


@pytest.mark.slow
@pytest.mark.usefixtures("threshold")
def test_a_method_of_another_package_looks_beyond_its_tile(region, monkeypatch):
    points = [EntryPoint("farthest", f"{__name__}:Farthest", table.ENTRY_POINTS)]
    monkeypatch.setattr(table, "entry_points", lambda group: points)
    settings = CompositeSettings(name="far", method="farthest", bands=BANDS)
    found = {}
    for chunk, tile in ((64, 128), (128, 256)):
        job = region.job(
            composite=settings,
            grid=GridSettings(resolution_m=10.0, tile_px=tile, chunk_px=chunk),
            store=str(region.folder / f"store{tile}"),
        )
        run.run(job)
        assert run.plan_job(job).nothing_to_do
        found[tile] = made_by(job)
    assert_alike(found[128], found[256])
    archive = store.open_archive(job.store)
    made = archive.composite("far").load()
    away = made["away"].values[made["count"].values > 0]
    assert 0 < (away < 300).mean() < 1
    for at in np.argwhere(made["count"].values > 1)[:: max(1, made["count"].size // 3)]:
        where, period = lonlat(archive, *at[1:]), archive.periods("far")[at[0]]
        one = made.isel(time=at[0], y=at[1], x=at[2])
        # `assert_told` asks a score of methods that have one.
        answer = why(archive, where, period, "far")
        assert answer.agrees
        assert answer.as_made
        assert answer.stored["count"] == int(one["count"])
