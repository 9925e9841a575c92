// The two maps: the left one is moved by people, the right one follows it and is cut at the divider.
import { Map as MapLibre, NavigationControl, ScaleControl, AttributionControl, setWorkerUrl } from "maplibre-gl";

import { href, keyed } from "./api.js";
import * as basemap from "./basemap.js";
import { $, h, notify } from "./dom.js";
import { change, state } from "./state.js";

const PICTURES = ["composite", "mask"];
let maps = [];
let theme = "light";
let tiles = null; // of a basemap

export const map = () => maps[0];

/** Make the left map; resolves when layers can be added. */
export async function start(colours) {
  theme = colours;
  setWorkerUrl(href("assets/worker.mjs"));
  maps = [make("map", { center: [10, 30], zoom: 1.2, keyboard: true })];
  const [left] = maps;
  left.addControl(new NavigationControl({ visualizePitch: false, showCompass: false }), "top-right");
  left.addControl(new ScaleControl(), "bottom-right");
  left.addControl(new AttributionControl({ compact: true, customAttribution: "Outlines: Natural Earth" }), "bottom-right");
  left.getCanvas().setAttribute("aria-label", "Map: arrows move it, plus and minus zoom");
  left.on("dataloading", busy);
  left.on("idle", busy);
  await left.once("load");
  left.on("move", () => maps[1]?.jumpTo(camera()));
  left.on("moveend", () => {
    const { lng, lat } = left.getCenter();
    change({ at: `${left.getZoom().toFixed(2)}/${lat.toFixed(5)}/${lng.toFixed(5)}` });
  });
  left.on("move", () => basemap.graticule(maps));
  left.on("resize", () => basemap.graticule(maps));
  basemap.graticule(maps);
  basemap.addCountries([left]).catch(told);
}

function make(container, more = {}) {
  const made = new MapLibre({
    container,
    style: basemap.style(theme),
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    maxZoom: 18,
    fadeDuration: 0,
    // The key is for the server of the page alone.
    transformRequest: (url) => ({ url, headers: url.startsWith(href("")) ? keyed() : {} }),
    ...more,
  });
  made.touchZoomRotate.disableRotation();
  made.keyboard.disableRotation();
  made.on("error", ({ error }) => told(error));
  return made;
}

/** Lay another server's tiles under the pictures; `attribution` is text. */
export function useBasemap({ url, attribution }) {
  tiles = { url, attribution: h("span", {}, attribution).innerHTML };
  for (const each of maps) basemap.addTiles(each, tiles);
}

function busy() {
  document.body.toggleAttribute("data-busy", maps.some((each) => !each.loaded() || !each.areTilesLoaded()));
}

const told = (error) => error && error.name !== "AbortError" && notify(`The map: ${error.message}`);

const camera = () => ({ center: maps[0].getCenter(), zoom: maps[0].getZoom() });

/** Move to what the state says, or else to a box. */
export function goTo(box) {
  const [zoom, lat, lng] = state().at.split("/").map(Number);
  if (state().at && [zoom, lat, lng].every(Number.isFinite)) maps[0].jumpTo({ center: [lng, lat], zoom });
  else if (box) maps[0].fitBounds(box, { padding: 24, duration: 0 });
}

/** Follow a hash that somebody else changed; where the map is already, nothing moves. */
export function arrive() {
  const { lng, lat } = maps[0].getCenter();
  if (state().at && state().at !== `${maps[0].getZoom().toFixed(2)}/${lat.toFixed(5)}/${lng.toFixed(5)}`) goTo();
}

/** Show the pictures of layers.js: left, and right if there is a swipe. */
export async function show({ left, right }, { box, maxzoom }) {
  draw(maps[0], left, { box, maxzoom });
  $("right-map").hidden = !right;
  if (!right) return;
  if (!maps[1]) {
    maps[1] = make("right-map", { interactive: false, ...camera() });
    const canvas = maps[1].getCanvas();
    canvas.tabIndex = -1;
    canvas.setAttribute("aria-hidden", "true");
    maps[1].on("dataloading", busy);
    maps[1].on("idle", busy);
    await maps[1].once("load");
    basemap.addCountries([maps[1]]).catch(told);
    if (tiles) basemap.addTiles(maps[1], tiles);
    for (const [id, data] of Object.entries(drawn)) maps[1].getSource(id).setData(data);
    basemap.graticule(maps);
  }
  maps[1].resize();
  maps[1].jumpTo(camera());
  draw(maps[1], right, { box, maxzoom });
  cut();
}

/** Cut the right map at the divider. */
export function cut() {
  $("right-map").style.clipPath = `inset(0 0 0 ${state().split}%)`;
  $("divider").style.setProperty("--split", `${state().split}%`);
}

function draw(on, picture, { box, maxzoom }) {
  for (const id of PICTURES) {
    const wanted = picture[id];
    const source = on.getSource(id);
    if (!wanted) {
      if (source) on.setLayoutProperty(id, "visibility", "none");
      continue;
    }
    const stale = source && (source.cloudmaskBox !== String(box) || source.maxzoom !== maxzoom);
    if (stale) {
      on.removeLayer(id);
      on.removeSource(id);
    }
    if (!source || stale) add(on, id, wanted, { box, maxzoom });
    else if (source.tiles[0] !== wanted.url) source.setTiles([wanted.url]);
    on.setLayoutProperty(id, "visibility", "visible");
    on.setPaintProperty(id, "raster-opacity", wanted.opacity);
  }
}

function add(on, id, { url }, { box, maxzoom }) {
  on.addSource(id, { type: "raster", tiles: [url], tileSize: 256, bounds: box, maxzoom });
  on.getSource(id).cloudmaskBox = String(box);
  const paint = { "raster-fade-duration": 0, "raster-resampling": id === "mask" ? "nearest" : "linear" };
  const above = id === "composite" && on.getLayer("mask") ? "mask" : "borders";
  on.addLayer({ id, type: "raster", source: id, paint }, above);
}

const drawn = {};

/** Set the GeoJSON of `region`, `area` or `place` on both maps; null clears it. */
export function outline(id, geometry) {
  drawn[id] = geometry
    ? { type: "Feature", properties: {}, geometry }
    : { type: "FeatureCollection", features: [] };
  for (const each of maps) each.getSource(id)?.setData(drawn[id]);
}

export function recolour(colours) {
  theme = colours;
  for (const each of maps) basemap.recolour(each, colours);
}

/** The deepest zoom at which tiles have pixels of their own. */
export function deepest(resolution, latitude) {
  const metres = 156543.034 * Math.cos((latitude * Math.PI) / 180);
  return Math.min(18, Math.max(0, Math.ceil(Math.log2(metres / resolution))));
}
