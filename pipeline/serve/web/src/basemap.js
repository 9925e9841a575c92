// The ground under the pictures: outlines of countries from Natural Earth, and a graticule; nothing from elsewhere but tiles that the server names.
import { feature, mesh } from "topojson-client";

import { href } from "./api.js";
import { $, h } from "./dom.js";

export const COLOURS = {
  light: { sea: "#dfe8ee", land: "#e8e6de", line: "#8b96a0", grid: "#b9c4cc", region: "#0b5c6b", area: "#b3261e" },
  dark: { sea: "#10171c", land: "#1d262c", line: "#5d6b76", grid: "#33414b", region: "#6cc5d4", area: "#ffb4a8" },
};

const EMPTY = { type: "FeatureCollection", features: [] };

export function style(theme) {
  const colours = COLOURS[theme];
  const source = () => ({ type: "geojson", data: EMPTY, tolerance: 0 });
  const line = (id, color, width, more = {}) => ({
    id, type: "line", source: id, paint: { "line-color": color, "line-width": width, ...more },
  });
  return {
    version: 8,
    sources: Object.fromEntries(["land", "borders", "graticule", "region", "area", "place"].map((id) => [id, source()])),
    layers: [
      { id: "sea", type: "background", paint: { "background-color": colours.sea } },
      { id: "land", type: "fill", source: "land", paint: { "fill-color": colours.land, "fill-antialias": false } },
      line("graticule", colours.grid, 0.7),
      line("borders", colours.line, 0.9),
      line("region", colours.region, 1.5, { "line-dasharray": [3, 2] }),
      line("area", colours.area, 2.5),
      { id: "place", type: "circle", source: "place",
        paint: { "circle-radius": 6, "circle-color": "transparent", "circle-stroke-color": colours.area, "circle-stroke-width": 2.5 } },
    ],
  };
}

export function recolour(map, theme) {
  const colours = COLOURS[theme];
  map.setPaintProperty("sea", "background-color", colours.sea);
  map.setPaintProperty("land", "fill-color", colours.land);
  for (const [id, name] of [["graticule", "grid"], ["borders", "line"], ["region", "region"], ["area", "area"]])
    map.setPaintProperty(id, "line-color", colours[name]);
  map.setPaintProperty("place", "circle-stroke-color", colours.area);
}

/** Tiles of a basemap, above the land and below all else. */
export function addTiles(map, { url, attribution }) {
  map.addSource("basemap", { type: "raster", tiles: [url], tileSize: 256, attribution });
  map.addLayer({ id: "basemap", type: "raster", source: "basemap", paint: { "raster-fade-duration": 0 } }, "graticule");
}

/** Outlines: coarse ones at once, finer ones when the map is near enough to show the difference. */
export async function addCountries(maps) {
  await show(maps, "assets/countries-110m.json");
  const [first] = maps;
  const refine = () => {
    if (first.getZoom() < 3) return;
    first.off("moveend", refine);
    show(maps, "assets/countries-50m.json");
  };
  first.on("moveend", refine);
  refine();
}

async function show(maps, name) {
  const atlas = await (await fetch(href(name))).json();
  const countries = feature(atlas, atlas.objects.countries);
  for (const each of countries.features) each.geometry.coordinates = unwrapped(each.geometry.coordinates);
  const borders = mesh(atlas, atlas.objects.countries);
  borders.coordinates = unwrapped(borders.coordinates);
  for (const map of maps) {
    map.getSource("land").setData(countries);
    map.getSource("borders").setData({ type: "Feature", properties: {}, geometry: borders });
  }
}

/** Lines that cross the antimeridian go on beyond 180°, instead of back across the whole map. */
function unwrapped(coordinates) {
  if (typeof coordinates[0][0] !== "number") return coordinates.map(unwrapped);
  let turns = 0;
  const line = coordinates.map(([x, y], at) => {
    const step = at ? x - coordinates[at - 1][0] : 0;
    if (Math.abs(step) > 180) turns -= Math.sign(step);
    return [x + 360 * turns, y];
  });
  return turns ? coordinates : line; // Antarctica goes round the pole and stays as it is
}

const STEPS = [30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];
const LINES = 7; // at most about so many of a kind in the picture

function multiples(low, high, step) {
  const count = Math.floor(high / step) - Math.ceil(low / step) + 1;
  return Array.from({ length: Math.max(0, count) }, (_, at) => (Math.ceil(low / step) + at) * step);
}

/** Redraw meridians and parallels for what a map shows, with their degrees at its left and upper edge. */
export function graticule(maps) {
  const [map] = maps;
  const box = map.getBounds();
  const [west, east] = [box.getWest(), box.getEast()];
  const [south, north] = [Math.max(-85, box.getSouth()), Math.min(85, box.getNorth())];
  const step = STEPS.findLast((each) => Math.max(east - west, north - south) / each <= LINES) ?? STEPS[0];
  const [meridians, parallels] = [multiples(west, east, step), multiples(south, north, step)];
  const lines = [
    ...meridians.map((x) => [[x, south], [x, north]]),
    ...parallels.map((y) => [[west, y], [east, y]]),
  ];
  const geometry = { type: "MultiLineString", coordinates: lines };
  for (const each of maps) each.getSource("graticule")?.setData({ type: "Feature", properties: {}, geometry });
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  const label = (value, positive, negative) => {
    const shown = Math.abs(((value + 540) % 360) - 180).toFixed(digits);
    return `${shown}°${Number(shown) === 0 ? "" : value > 0 ? positive : negative}`;
  };
  const place = (text, x, y, kind) => {
    const element = h("span", { class: kind }, text);
    element.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
    return element;
  };
  $("degrees").replaceChildren(
    ...meridians.map((x) => place(label(x, "E", "W"), map.project([x, south]).x, 2, "meridian")),
    ...parallels.map((y) => place(label(y, "N", "S"), 4, map.project([west, y]).y - 8, "parallel")),
  );
}
