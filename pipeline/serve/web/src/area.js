// Where the question is: a polygon drawn, uploaded or taken from the map's view; or a point.
import * as choice from "./choice.js";
import { $, fill, notify } from "./dom.js";
import { MAX_TEXT, boundsOf, featuresOf, fromText, rectangle, toText } from "./geometry.js";
import { map, outline } from "./map.js";
import { change, state } from "./state.js";

const MAX_BYTES = 20_000_000;
let features = []; // of the uploaded file
let large = null; // a geometry too long for a link
let drawing = null;

/** The geometry that is asked about, or null. */
export const geometry = () => (state().area === "uploaded" ? large : fromText(state().area));

/** The place that is asked about, [longitude, latitude], or null. */
export function place() {
  const at = state().point.split(",").map(Number);
  return state().point && at.length === 2 && at.every(Number.isFinite) ? at : null;
}

export function start() {
  $("draw").addEventListener("click", () => (drawing ? stopDrawing() : draw()));
  $("stop-drawing").addEventListener("click", stopDrawing);
  $("upload").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", ({ target }) => {
    if (target.files[0]) read(target.files[0]);
    target.value = "";
  });
  $("feature").addEventListener("change", ({ target }) => choose(features[target.value].geometry));
  $("view-area").addEventListener("click", takeView);
  $("centre-place").addEventListener("click", askCentre);
  const stage = $("stage");
  stage.addEventListener("dragover", (event) => event.preventDefault());
  stage.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) read(event.dataTransfer.files[0]);
  });
  map().on("click", ({ lngLat }) => {
    if (!drawing) askPoint(lngLat);
  });
}

export const isDrawing = () => drawing !== null;

export function takeView() {
  const box = map().getBounds();
  const [west, south, east, north] = choice.opened().bbox;
  const cut = [
    Math.max(west, box.getWest()), Math.max(south, box.getSouth()), Math.min(east, box.getEast()), Math.min(north, box.getNorth()),
  ];
  if (cut[0] >= cut[2] || cut[1] >= cut[3]) return notify("The map shows nothing of the archive’s region.");
  choose(rectangle(cut));
}

export const askCentre = () => askPoint(map().getCenter());

function askPoint({ lng, lat }) {
  change({ point: `${lng.toFixed(5)},${lat.toFixed(5)}`, area: "" });
}

function choose(found) {
  const text = toText(found);
  large = text.length > MAX_TEXT ? found : null;
  if (large) notify("This area has too many corners for a link: Share leaves it out.");
  change({ area: "", point: "" });
  change({ area: large ? "uploaded" : text });
}

async function read(file) {
  try {
    if (file.size > MAX_BYTES) throw new Error(`it has ${Math.round(file.size / 1e6)} MB; 20 MB at most`);
    features = featuresOf(JSON.parse(await file.text()));
    if (!features.length) throw new Error("it has no polygon");
  } catch (error) {
    return notify(`${file.name} is no GeoJSON of polygons: ${error.message}`);
  }
  $("feature-row").hidden = features.length < 2;
  fill($("feature"), features.map((each, at) => [String(at), each.name]), "0");
  choose(features[0].geometry);
  map().fitBounds(boundsOf(features[0].geometry), { padding: 60, maxZoom: 14 });
}

/** Draw a polygon by clicks; the library for it is loaded when it is wanted. */
export async function draw() {
  const [{ TerraDraw, TerraDrawPolygonMode }, { TerraDrawMapLibreGLAdapter }] = await Promise.all([
    import("terra-draw"),
    import("terra-draw-maplibre-gl-adapter"),
  ]);
  if (drawing) return;
  change({ area: "", point: "" });
  const styles = getComputedStyle(document.documentElement);
  const colour = styles.getPropertyValue("--area").trim();
  drawing = new TerraDraw({
    adapter: new TerraDrawMapLibreGLAdapter({ map: map() }),
    modes: [new TerraDrawPolygonMode({ styles: { fillColor: colour, outlineColor: colour, fillOpacity: 0.15, closingPointColor: colour } })],
  });
  drawing.start();
  drawing.setMode("polygon");
  drawing.on("finish", (id) => {
    const found = drawing.getSnapshotFeature(id)?.geometry;
    setTimeout(() => {
      stopDrawing();
      if (found) choose(found);
    });
  });
  showDrawing(true);
  map().getCanvas().focus();
}

export function stopDrawing() {
  drawing?.stop();
  drawing = null;
  showDrawing(false);
}

function showDrawing(on) {
  $("draw").setAttribute("aria-pressed", String(on));
  $("drawing").hidden = !on;
}

/** Show on the map what is asked about. */
export function mark() {
  outline("area", geometry());
  outline("place", place() && { type: "Point", coordinates: place() });
}
