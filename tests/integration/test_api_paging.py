"""Pages of a real API: every item once, in our order, whatever happens meanwhile."""

import random
import time
from datetime import UTC, datetime, timedelta

import pytest
import requests
from shapely.geometry import box

from pipeline.types import Period
from tests.integration.material import (
    FIELD,
    LANDSAT,
    SENTINEL,
    SUMMER,
    brute_force,
    ids,
    made_up_items,
    make_item,
)


def test_the_api_holds_what_it_was_given(api, made_up):
    answer = api.ask(datetime=f"{SUMMER.start:%Y-%m-%d}T00:00:00Z/..", limit=1)
    assert answer["numberMatched"] == len(made_up)
    assert answer["numberReturned"] == 1


@pytest.mark.parametrize("page_size", [1, 7, 100, 1000])
def test_every_item_comes_once_and_in_our_order(find, made_up, page_size):
    period = SUMMER
    if page_size == 1:
        period = Period(start=SUMMER.start, end=SUMMER.start + timedelta(days=9))
    expected = brute_force(made_up, FIELD, period)
    assert len(expected) > 20
    assert ids(find(page_size=page_size, period=period)) == expected


def test_a_collection_can_be_asked_for_alone(find, made_up):
    for name in (SENTINEL, LANDSAT):
        of_it = [item for item in made_up if item.collection_id == name]
        assert ids(find(collections=(name,), page_size=30)) == brute_force(of_it, FIELD, SUMMER)
    both = find(collections=(SENTINEL, LANDSAT), page_size=30)
    assert ids(both) == brute_force(made_up, FIELD, SUMMER)


def test_items_that_arrive_meanwhile_hide_none(api, find, monkeypatch):
    """Items are put in before, between and after what was already answered, at every page."""
    start = datetime(2036, 7, 1, tzinfo=UTC)
    period = Period(start=start, end=start + timedelta(days=100))
    place = box(5, 45, 6, 46)
    there = [
        make_item(f"there_{number:02d}", start + timedelta(days=number // 2), place)
        for number in range(60)
    ]
    api.load([], [item.to_dict() for item in there])
    rng = random.Random(3)
    arrived = []
    send = requests.Session.send

    def send_and_disturb(session, request, **options):
        answer = send(session, request, **options)
        if request.method == "POST" and len(arrived) < 40:
            for _ in range(3):
                number = len(arrived)
                instant = start + timedelta(days=rng.randrange(30), hours=rng.choice((0, 1)))
                arrived.append(make_item(f"late_{number:02d}", instant, place))
                api.create(arrived[-1])
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(requests.Session, "send", send_and_disturb)
        found = ids(find(page_size=5, aoi=place, period=period))
    try:
        assert len(arrived) >= 30
        assert len(found) == len(set(found))
        assert [name for name in found if name.startswith("there")] == [
            item.id for item in there
        ]
        again = ids(find(page_size=5, aoi=place, period=period))
        assert again == brute_force([*there, *arrived], place, period)
    finally:
        api.delete(SENTINEL, *(item.id for item in (*there, *arrived)))


def test_ten_thousand_items(api, find, capsys):
    """What a large search costs is told, not judged: the machine decides."""
    start = datetime(2038, 6, 1, tzinfo=UTC)
    many = made_up_items(10_000, seed=6, start=start, name="many")
    began = time.perf_counter()
    api.load([], [item.to_dict() for item in many])
    loaded = time.perf_counter()
    period = Period(start=start, end=start + timedelta(days=92))
    found = find(page_size=500, period=period)
    ended = time.perf_counter()
    with capsys.disabled():
        print(
            f"\n10 000 items: {loaded - began:.1f} s to load, {ended - loaded:.1f} s to search "
            f"({len(found)} found in pages of 500)"
        )
    assert ids(found) == brute_force(many, FIELD, period)
