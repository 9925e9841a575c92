// Draw one time of an export with OpenLayers' GeoZarr source; the hash says, as JSON, what of it and where.
import OlMap from "ol/Map.js";
import View from "ol/View.js";
import WebGLTileLayer from "ol/layer/WebGLTile.js";
import GeoZarr from "ol/source/GeoZarr.js";

const { url, bands, time, color, center, resolution } = JSON.parse(decodeURIComponent(location.hash.slice(1)));

const source = new GeoZarr({ url, bands, dimensions: { time }, transition: 0 });
await source.ready();
const map = new OlMap({
  target: "map",
  controls: [],
  layers: [new WebGLTileLayer({ source, style: { color } })],
  // The CRS is what the source has read; the place is the test's, so that an export read askew looks askew.
  view: new View({ projection: source.getProjection(), center, resolution }),
});
map.once("rendercomplete", () => {
  document.body.dataset.crs = source.getProjection().getCode();
});
