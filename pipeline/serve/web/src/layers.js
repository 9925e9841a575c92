// What each of the two pictures shows: URLs of tiles and opacities, as a function of the state.
import * as api from "./api.js";
import * as choice from "./choice.js";
import { state } from "./state.js";

/** The pictures left and right of the divider; without a swipe there is the left one alone. */
export function pictures() {
  const { compare } = state();
  const scene = choice.scene();
  if (compare === "mask") {
    return { left: { composite: compositeAt(scene) }, right: { composite: compositeAt(scene), mask: maskAt(scene) } };
  }
  if (compare === "dates") return { left: shown(scene), right: shown(choice.otherScene()) };
  return { left: shown(scene) };
}

const shown = (scene) => ({
  composite: choice.shows("composite") ? compositeAt(scene) : null,
  mask: choice.shows("mask") ? maskAt(scene) : null,
});

function compositeAt(scene) {
  const [made, period] = [choice.composite(), choice.period(scene?.time)];
  if (!made || !period) return null;
  const values = { layer: "composite", name: made.name, time: period.name ?? period.start, bands: choice.bands() };
  return { url: api.tiles(choice.opened().id, stamped(values)), opacity: Number(state().co) / 100 };
}

function maskAt(scene) {
  const classes = choice.classes();
  if (!scene || !classes.length) return null;
  const values = { layer: "mask", sensor: scene.sensor, time: scene.time, classes: classes.join(",") };
  return { url: api.tiles(choice.opened().id, stamped(values)), opacity: Number(state().mo) / 100 };
}

/** Tiles of one snapshot have URLs of their own, so that none of another one is shown beside them. */
const stamped = (values) => ({ ...values, as_of: choice.opened().snapshot });
