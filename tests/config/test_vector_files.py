"""Vector files: all of their layers are the area, or a word says what is not."""

import json
import logging
import sys
import zipfile

import geopandas
import pandas as pd
import pyogrio
import pytest
import shapely
from shapely.geometry import LineString, Point, Polygon, box, mapping

WEST, EAST = box(9, 50, 10, 51), box(20, 50, 21, 51)
BOTH = shapely.union_all([WEST, EAST])


def placemark(area: Polygon) -> str:
    ring = " ".join(f"{x},{y},7" for x, y in area.exterior.coords)
    return (
        "<Placemark><Polygon><outerBoundaryIs><LinearRing><coordinates>"
        f"{ring}</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark>"
    )


def kml(*inside: str) -> str:
    head = "<?xml version='1.0' encoding='UTF-8'?><kml xmlns='http://www.opengis.net/kml/2.2'>"
    return f"{head}<Document>{''.join(inside)}</Document></kml>"


def folder(name: str, *inside: str) -> str:
    return f"<Folder><name>{name}</name>{''.join(inside)}</Folder>"


# -- all layers --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
def test_all_folders_of_a_kml_are_the_area(read, tmp_path):
    """F07: only the first was, and a UserWarning of pyogrio all that said so."""
    north, south = box(11.718, 48.115, 11.728, 48.125), box(11.735, 48.115, 11.745, 48.132)
    text = kml(folder("north", placemark(north)), folder("south", placemark(south)))
    (tmp_path / "two.kml").write_text(text)
    aoi = read("two.kml")
    assert aoi.bounds == (11.718, 48.115, 11.745, 48.132)
    assert aoi.equals(shapely.union_all([north, south]))


def test_folders_in_folders_and_of_one_name(read, tmp_path):
    far, top = box(30, 50, 31, 51), box(40, 50, 41, 51)
    inside = folder("a", placemark(WEST), folder("b", placemark(EAST)))
    (tmp_path / "n.kml").write_text(kml(placemark(top), inside, folder("a", placemark(far))))
    assert read("n.kml").equals(shapely.union_all([WEST, EAST, far, top]))


@pytest.mark.filterwarnings("error")
def test_each_layer_of_a_geopackage_has_its_own_crs(read, write, caplog):
    path = write("a.gpkg", [WEST], layer="west")
    utm = geopandas.GeoSeries([EAST], crs=4326).to_crs(32634)
    write(path.name, list(utm), 32634, layer="east")
    write(path.name, [], layer="nothing")
    pyogrio.write_dataframe(pd.DataFrame({"owner": ["x"]}), path, layer="owners")
    with caplog.at_level(logging.WARNING):
        aoi = read("a.gpkg")
    # The straight edges of degrees are chords of the curved ones in UTM.
    assert aoi.symmetric_difference(BOTH).area < 0.01
    assert "layer 'owners' of a.gpkg is left out: it has no geometries" in caplog.text
    assert "layer 'nothing' of a.gpkg is left out: it is empty" in caplog.text


@pytest.mark.filterwarnings("error")
def test_other_formats_with_all_their_features(read, write, tmp_path):
    write("a.fgb", [WEST, EAST])
    write("a.gml", [WEST, EAST], driver="GML")
    write("a.geojson", [WEST, EAST])
    lines = [json.dumps(mapping(each)) + "\n" for each in (WEST, EAST)]
    (tmp_path / "a.ndjson").write_text("".join(lines))
    arcs = [[list(each) for each in area.exterior.coords] for area in (WEST, EAST)]
    objects = {f"o{p}": {"type": "Polygon", "arcs": [[p]]} for p in range(2)}
    topology = {"type": "Topology", "objects": objects, "arcs": arcs}
    (tmp_path / "a.topojson").write_text(json.dumps(topology))
    for name in ("a.fgb", "a.gml", "a.geojson", "a.ndjson", "a.topojson"):
        assert read(name).equals(BOTH), name


@pytest.mark.parametrize("inner", ["{}", "deep/{}"])
@pytest.mark.parametrize("suffix", ["zip", "kmz", ""])
def test_zip_files_and_folders_are_read_whole(read, write, tmp_path, suffix, inner):
    made = tmp_path / "made"
    made.mkdir()
    write(made / "west.shp", [WEST])
    (made / "east.kml").write_text(kml(placemark(EAST)))
    if suffix:
        name = f"sites.{suffix}"
        with zipfile.ZipFile(tmp_path / name, "w") as packed:
            for each in made.iterdir():
                packed.write(each, inner.format(each.name))
    else:
        name = "made"
    assert read(name).equals(BOTH)


def test_what_no_zip_file_should_be(read, tmp_path, caplog):
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as packed:
        packed.writestr("readme.txt", "hello")
        packed.writestr("table.xlsx", "hello")
    with caplog.at_level(logging.WARNING), pytest.raises(ValueError, match="has no vector"):
        read("empty.zip")
    assert "table.xlsx in empty.zip is left out" in caplog.text
    whole = (tmp_path / "empty.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[:40] + b"\0" * 30 + whole[70:])
    with pytest.raises(ValueError, match=r"cut\.zip"):
        read("cut.zip")


# -- what covers no area -----------------------------------------------------------------------


def test_layers_of_lines_and_points_are_named(read, write):
    path = write("a.gpkg", [WEST], layer="fields")
    write(path.name, [Point(9, 50)], layer="wells")
    write(path.name, [LineString([(9, 50), (10, 51)]), WEST], layer="mixed")
    with pytest.raises(ValueError, match=r"layer 'wells' of a.gpkg has Point, .*") as caught:
        read("a.gpkg")
    assert "layer 'mixed' of a.gpkg has LineString" in str(caught.value)
    assert str(caught.value).endswith("name the layer to use: a.gpkg|layername=fields")
    assert read("a.gpkg|layername=fields").equals(WEST)
    with pytest.raises(ValueError, match="there is no layer 'field'; there is layer 'fields'"):
        read("a.gpkg|layername=field")


def test_a_track_is_no_area(read, tmp_path):
    (tmp_path / "walk.gpx").write_text(
        "<?xml version='1.0'?><gpx version='1.1' xmlns='http://www.topografix.com/GPX/1/1'>"
        "<wpt lat='50' lon='9'/><trk><trkseg><trkpt lat='50' lon='9'/>"
        "<trkpt lat='51' lon='9'/></trkseg></trk></gpx>"
    )
    with pytest.raises(ValueError, match="layer 'tracks' of walk.gpx has LineString") as caught:
        read("walk.gpx")
    assert "layer 'waypoints' of walk.gpx has Point" in str(caught.value)


# -- features that are lost --------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
def test_features_without_geometry_are_told(read, write, caplog):
    write("a.gpkg", [WEST, None, EAST, None])
    with caplog.at_level(logging.WARNING):
        assert read("a.gpkg").equals(BOTH)
    assert "2 of 4 features are left out: they have no geometry" in caplog.text
    feature = {"type": "Feature", "properties": {}, "geometry": mapping(WEST)}
    nothing = {"type": "Feature", "properties": {}, "geometry": None}
    with caplog.at_level(logging.WARNING):
        read({"type": "FeatureCollection", "features": [nothing, feature]})
    assert "1 of 2 features of the area are left out" in caplog.text


@pytest.mark.filterwarnings("error")
def test_bare_geometries_in_a_collection_are_no_nothing(read):
    features = [mapping(WEST), {"type": "Feature", "geometry": mapping(EAST)}]
    assert read({"type": "FeatureCollection", "features": features}).equals(BOTH)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        (
            "a.geojson",
            '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{},"geometry":'
            '{"type":"Blob","coordinates":[]}},{"type":"Feature","properties":{},"geometry":%s}]}',
            "1 of 2 shapes that cannot be read: Unsupported geometry type",
        ),
        ("a.csv", 'id,WKT\n1,"POLYGON((0 0,1 0,1 1,0 0))"\n2,garbage\n', "1 of 2 shapes"),
        ("a.ndjson", '%s\n%s\n{"type":"Pol', "line 3: no GeoJSON"),
        ("a.geojson", "%s trailing", "a.geojson cannot be read as JSON: Extra data"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_cannot_be_read_to_its_end_is_an_error(read, tmp_path, name, content, why):
    (tmp_path / name).write_text(content.replace("%s", json.dumps(mapping(WEST))))
    with pytest.raises(ValueError, match=why):
        read(name)


def test_links_of_a_kml_are_not_followed_in_silence(read, tmp_path, caplog):
    link = "<NetworkLink><Link><href>http://127.0.0.1:9/x.kml</href></Link></NetworkLink>"
    (tmp_path / "a.kml").write_text(kml(placemark(WEST), link))
    with caplog.at_level(logging.WARNING):
        assert read("a.kml").equals(WEST)
    assert "NetworkLink" in caplog.text


@pytest.mark.parametrize("suffix", [".fgb", ".gpkg", ".shp", ".kml", ".gml", ".geojson"])
def test_files_cut_short_are_errors(read, write, suffix):
    shapes = [box(west / 10, 50, west / 10 + 1, 51) for west in range(1000)]
    how = {"driver": suffix[1:].upper()} if suffix in (".kml", ".gml") else {}
    path = write(f"a{suffix}", shapes, **how)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match="cannot be read|is it whole"):
        read(path.name)


# -- shapes that are mended --------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("form", ["file", "mapping", "wkt"])
def test_rings_are_closed_turned_and_thinned(read, tmp_path, form):
    """Unclosed, clockwise, and with a vertex three times, as servers refuse it."""
    ring = [[9, 50], [9, 51], [9, 51], [9, 51], [10, 51], [10, 50]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    if form == "file":
        (tmp_path / "a.geojson").write_text(json.dumps(geometry))
        aoi = read("a.geojson")
    elif form == "mapping":
        aoi = read(geometry)
    else:
        aoi = read(f"POLYGON (({', '.join(f'{x} {y}' for x, y in ring)}))")
    assert aoi.equals(WEST)
    assert aoi.exterior.is_ccw
    assert len(aoi.exterior.coords) == 5


@pytest.mark.filterwarnings("error")
def test_measures_and_heights_do_not_matter(read, write, tmp_path):
    text = 'id,WKT\n1,"POLYGON ZM ((9 50 1 2,10 50 1 2,10 51 1 2,9 51 1 2,9 50 1 2))"\n'
    (tmp_path / "a.csv").write_text(text)
    # A table says no CRS; what is wanted here is that nothing else is wrong with it.
    with pytest.raises(ValueError, match="layer 'a' of a.csv has no CRS"):
        read("a.csv")
    high = shapely.from_wkt("POLYGON Z ((9 50 1, 10 50 1, 10 51 1, 9 51 1, 9 50 1))")
    write("z.gpkg", [high])
    assert read("z.gpkg").equals(WEST)


# -- GeoParquet --------------------------------------------------------------------------------


def test_geoparquet_is_an_area(read, tmp_path, caplog):
    frame = geopandas.GeoDataFrame(geometry=[WEST, EAST, None], crs=4326)
    frame["centre"] = geopandas.GeoSeries([Point(9, 50), Point(20, 50), None], crs=4326)
    frame.to_parquet(tmp_path / "a.parquet")
    with caplog.at_level(logging.WARNING):
        assert read("a.parquet").equals(BOTH)
    assert "column 'geometry' is the area; centre left out" in caplog.text
    assert "1 of 3 features are left out" in caplog.text


def test_parquet_that_is_no_geoparquet_is_refused_by_a_word(read, tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1nonsensePAR1")
    for name in ("a.parquet", "b.parquet"):
        with pytest.raises(ValueError, match=f"{name} cannot be read as GeoParquet"):
            read(name)


def test_geoparquet_without_its_library_says_what_to_install(read, tmp_path, monkeypatch):
    geopandas.GeoDataFrame(geometry=[WEST], crs=4326).to_parquet(tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"install cloudmask\[geoparquet\]"):
        read("a.parquet")


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_files_without_crs_or_shapes_are_refused(read, write, tmp_path):
    write("bare.shp", [WEST], None)
    with pytest.raises(ValueError, match="has no CRS"):
        read("bare.shp")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="has no geometries"):
        read("table.csv")
    (tmp_path / "text.txt").write_text("hello")
    with pytest.raises(ValueError, match="cannot be read as a vector file"):
        read("text.txt")
