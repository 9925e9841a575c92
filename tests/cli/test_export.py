"""`cloudmask export`: what may stand together, and what is there instead of what is not."""

import pytest


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
