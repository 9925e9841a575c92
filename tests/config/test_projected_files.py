"""Files in a projection: outlines keep their edges, and are cut at the antimeridian."""

import geopandas
import pytest
from shapely.geometry import Point, Polygon, box


def test_projected_files_are_reprojected_along_their_edges(read, write):
    # The edges of this box are straight in UTM and bent in degrees.
    utm = box(400_000, 5_500_000, 600_000, 5_700_000)
    aoi = read(str(write("utm.gpkg", [utm], 32632)))
    back = geopandas.GeoSeries([aoi.segmentize(0.01)], crs=4326).to_crs(32632).iloc[0]
    assert back.symmetric_difference(utm).area < 1e-5 * utm.area
    assert back.hausdorff_distance(utm) < 5


def test_projected_files_over_the_antimeridian_are_cut(read, write):
    fiji = box(700_000, 8_000_000, 900_000, 8_100_000)
    write("fiji.gpkg", [fiji], 32760)
    aoi = read("fiji.gpkg")
    assert aoi.is_valid
    assert (aoi.bounds[0], aoi.bounds[2]) == (-180, 180)
    back = geopandas.GeoSeries(list(aoi.geoms), crs=4326).to_crs(32760).union_all()
    assert back.symmetric_difference(fiji).area < 1e-3 * fiji.area


@pytest.mark.parametrize("crs", [3031, 3413])
def test_a_projected_file_round_a_pole_holds_it(read, write, crs):
    write("pole.gpkg", [Point(0, 0).buffer(300_000)], crs)
    aoi = read("pole.gpkg")
    assert aoi.is_valid
    pole = -90 if crs == 3031 else 90
    for longitude in (-179, -90, 0, 90, 179):
        assert aoi.intersects(Point(longitude, pole * 0.99))
        assert not aoi.intersects(Point(longitude, pole * 0.9))


def test_a_bowtie_in_a_projection_keeps_both_its_wings(read, write):
    x, y = 500_000, 5_500_000
    tie = Polygon([(x, y), (x + 1000, y + 1000), (x + 1000, y), (x, y + 1000)])
    write("tie.gpkg", [tie, Polygon()], 32632)
    aoi = read("tie.gpkg")
    area = geopandas.GeoSeries([aoi], crs=4326).to_crs(32632).area.sum()
    assert area == pytest.approx(500_000, rel=1e-3)
