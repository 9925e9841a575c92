"""Readers while runs publish: an answer is of one snapshot, and the newest is seen soon."""

import threading
import time
from datetime import UTC, datetime

import numpy as np
import pytest

from pipeline import store
from tests.serve.conftest import client_of
from tests.serve.region import SENSORS, START, Region, document

ROUNDS = 3


def publish_all_of(region, code):
    """Publish a state in which every pixel has one class."""
    with store.open_writer(
        region.url, region.grid, title="r", run_key="k", overviews=True
    ) as writer:
        for sensor, days in SENSORS.items():
            ids = [f"{sensor}-{day}" for day in days]
            writer.item_positions(ids, [document(each) for each in ids])
            writer.set_scenes(sensor, [(START, "a", ids[:1])])
            for tile in region.grid.tiles():
                codes = np.full(tile.geobox.shape, code, np.uint8)
                writer.write_mask(sensor, START, tile, codes, 100 + code)
        return writer.publish({"run_id": str(code)})


def classes_of(row):
    return {name for name, count in row["counts"].items() if count}


@pytest.mark.parametrize("rounds", [ROUNDS, pytest.param(20, marks=pytest.mark.slow)])
def test_readers_never_see_two_snapshots_in_one_answer(tmp_path, rounds):
    region = Region(str(tmp_path / "store"))
    expected = {publish_all_of(region, 1): "clear"}
    client = client_of({"alps": region.url}, tmp_path, refresh_s=0.05)
    box = ",".join(map(str, region.box(3, 3, 140, 200).bounds))
    found, done, failures = [], threading.Event(), []

    def read():
        while not done.wait(0.05):
            answer = client.get("/archives/alps/clear-sky", params={"bbox": box})
            if answer.status_code != 200:
                failures.append(answer.text)
                return
            rows = [each for each in answer.json()["data"] if each["state"] == "scene"]
            found.append((answer.json()["snapshot"], [classes_of(each) for each in rows]))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for each in readers:
        each.start()
    late = []
    for number in range(rounds):
        code, name = [(5, "thick_cloud"), (1, "clear"), (2, "water")][number % 3]
        snapshot = publish_all_of(region, code)
        expected[snapshot] = name
        begun = time.monotonic()
        while client.get("/archives/alps").json()["snapshot"] != snapshot:
            assert time.monotonic() - begun < 5
        late.append(time.monotonic() - begun)
    done.set()
    for each in readers:
        each.join()
    assert failures == []
    assert len({snapshot for snapshot, _ in found}) > 1
    for snapshot, seen in found:
        assert seen == [{expected[snapshot]}] * len(SENSORS)


def test_an_expired_snapshot_is_gone(tmp_path):
    region = Region(str(tmp_path / "store"))
    first = publish_all_of(region, 1)
    client = client_of({"alps": region.url}, tmp_path, refresh_s=0.01)
    asked = {"bbox": ",".join(map(str, region.box(3, 3, 90, 90).bounds)), "as_of": first}
    # Opened, and nothing of its pixels read yet.
    assert client.get("/archives/alps", params={"as_of": first}).status_code == 200
    publish_all_of(region, 5)
    time.sleep(0.1)
    store.expire(region.url, datetime.now(UTC))
    answer = client.get("/archives/alps/clear-sky", params=asked)
    if answer.status_code == 200:
        rows = [each for each in answer.json()["data"] if each["state"] == "scene"]
        assert [classes_of(each) for each in rows] == [{"clear"}] * len(SENSORS)
    else:
        assert answer.status_code == 410
        assert "expired" in answer.json()["detail"]
    newest = client.get("/archives/alps/clear-sky", params={"bbox": asked["bbox"]}).json()
    rows = [each for each in newest["data"] if each["state"] == "scene"]
    assert [classes_of(each) for each in rows] == [{"thick_cloud"}] * len(SENSORS)


def test_a_future_instant_follows_the_newest_state(tmp_path):
    region = Region(str(tmp_path / "store"))
    client = client_of({"alps": region.url}, tmp_path, refresh_s=0.01)
    asked = {"as_of": "2199-01-01"}
    for code in (1, 5):
        snapshot = publish_all_of(region, code)
        time.sleep(0.05)
        answer = client.get("/archives/alps", params=asked)
        assert answer.json()["snapshot"] == snapshot
        assert "immutable" not in answer.headers["Cache-Control"]
    assert client.get("/archives/alps", params={"as_of": "1999-01-01"}).status_code == 404
