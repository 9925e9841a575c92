"""`cloudmask export`: what may stand together, and what is there instead of what is not."""

from types import SimpleNamespace

import pytest
import shapely

from pipeline.cli.commands.export import _known_area


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            [],
            "--composite: found nothing, expected none is in the store; --masks exports masks",
        ),
        (["--composite", "weekly"], "--composite: found 'weekly', expected none"),
        (["--masks", "--bands", "red"], "--bands: --masks takes --sensor"),
        (["--masks", "--composite", "all"], "--composite: --masks takes --sensor"),
        (["--sensor", "landsat"], "--sensor: --masks takes --sensor"),
        (
            ["--masks", "--sensor", "modis"],
            "--sensor: found modis, expected landsat | sentinel-2",
        ),
        (["--masks", "--aoi", "nowhere"], "--aoi: found 'nowhere'"),
    ],
)
def test_a_mistake_is_answered_with_what_is_there(cloudmask, rooms, options, told):
    result = cloudmask("export", "store", "x.tif", *options)
    assert result.exit_code == 2, result.output
    assert f"error: {told}" in result.stderr
    assert "export" not in rooms.names()


def test_the_store_is_not_overwritten(cloudmask, rooms, tmp_path):
    (tmp_path / "store").mkdir()
    result = cloudmask("export", "store", "store/x.tif", "--masks")
    assert result.exit_code == 2
    assert "export" not in rooms.names()


def test_without_an_aoi_it_is_the_box_around_all_that_was_searched():
    areas = [shapely.box(11, 48, 12, 49), shapely.box(11.5, 48.5, 13, 48.75)]
    archive = SimpleNamespace(searched=lambda: [SimpleNamespace(area=each) for each in areas])
    assert _known_area(archive).equals(shapely.box(11, 48, 13, 49))
    assert _known_area(SimpleNamespace(searched=list)) is None
