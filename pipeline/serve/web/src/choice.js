// What the state means for the archive that is open: the scene, the period, the bands, the classes.
import { state } from "./state.js";
import { periodInWords } from "./words.js";

let archive = null;

export const opened = () => archive;
export const open = (found) => {
  archive = found;
};

export const scenes = () => {
  const { sensor } = state();
  return (archive?.scenes ?? []).filter((each) => !sensor || each.sensor === sensor);
};

const moment = (time) => Date.parse(time);

/** The scene at a time, or else the nearest one; without a time the latest. */
export function sceneAt(time) {
  const all = scenes();
  if (!all.length) return null;
  const at = moment(time);
  if (Number.isNaN(at)) return all.at(-1);
  return all.reduce((best, each) => (Math.abs(moment(each.time) - at) < Math.abs(moment(best.time) - at) ? each : best));
}

export const scene = () => sceneAt(state().time);

/** The scene on the right of a swipe between dates: the chosen one, or else the one before. */
export function otherScene() {
  if (state().other) return sceneAt(state().other);
  const all = scenes();
  return all[Math.max(0, all.indexOf(scene()) - 1)] ?? null;
}

export function composite() {
  const all = archive?.composites ?? [];
  return all.find((each) => each.name === state().composite) ?? all[0] ?? null;
}

/** The chosen period; otherwise the one that holds the time, or the last that begins before it. */
export function period(time) {
  const periods = composite()?.periods ?? [];
  const chosen = periods.find((each) => each.start === state().period);
  if (chosen || !periods.length) return chosen ?? null;
  const at = moment(time ?? scene()?.time ?? periods.at(-1).start);
  return periods.filter((each) => moment(each.start) <= at).at(-1) ?? periods[0];
}

const COMBINATIONS = [
  ["red,green,blue", "true colour"],
  ["nir,red,green", "false colour (vegetation red)"],
  ["swir16,nir,red", "short-wave infrared, NIR, red"],
  ["swir22,swir16,red", "short-wave infrared, red"],
  ["nir,swir16,blue", "farming: NIR, SWIR, blue"],
];
const LAYERS = { count: "clear observations", day: "day of the pixel", score: "score", source: "item of the pixel" };

/** [value, label] of what the composite can show. */
export function combinations() {
  const made = composite();
  if (!made) return [];
  const has = new Set(made.bands);
  const colours = COMBINATIONS.map(([bands, label]) => [nearInfrared(bands, has), label]).filter(([bands]) =>
    bands.split(",").every((band) => has.has(band)),
  );
  const layers = (made.layers ?? []).map((layer) => [layer, LAYERS[layer] ?? layer]);
  const ndvi = has.has("red") && (has.has("nir") || has.has("nir08")) ? [["ndvi", "NDVI"]] : [];
  const own = state().bands.includes(",") && !colours.some(([value]) => value === state().bands);
  return [...colours, ...ndvi, ...layers, [own ? state().bands : "own", "own combination"]];
}

/** Landsat's near infrared is the narrow one. */
const nearInfrared = (bands, has) => (has.has("nir") ? bands : bands.replace(/\bnir\b/, "nir08"));

export function bands() {
  const wanted = state().bands;
  return wanted || (combinations()[0]?.[0] ?? "");
}

/** Values of the classes that the mask shows. */
export function classes() {
  const { classes: wanted } = state();
  if (wanted === "none") return [];
  const all = (archive?.classes ?? []).filter((each) => each.value !== 0);
  if (!wanted) return all.filter((each) => !each.usable).map((each) => each.value);
  const values = new Set(wanted.split(",").map(Number));
  return all.filter((each) => values.has(each.value)).map((each) => each.value);
}

export const shows = (layer) => state().show.split(",").includes(layer);

export const periodLabel = (each) => (each ? each.name ?? periodInWords(each) : "none");
