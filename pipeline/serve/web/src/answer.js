// The drawer: the clear-sky chart of an area, or the history of a pixel. An answer that is overtaken is abandoned.
import * as api from "./api.js";
import * as area from "./area.js";
import * as choice from "./choice.js";
import { $, h, isPhone } from "./dom.js";
import { togglePanel } from "./panel.js";
import { showPlace } from "./place.js";
import { showSeries } from "./series.js";
import { change, state } from "./state.js";

let asking = null;

export function start() {
  $("close-drawer").addEventListener("click", close);
}

export const isOpen = () => !$("drawer").hidden;

export const close = () => change({ area: "", point: "" });

/** Ask what the state says, and show it. */
export async function update() {
  asking?.abort();
  area.mark();
  const [shape, point] = [area.geometry(), area.place()];
  $("drawer").hidden = !shape && !point;
  document.body.classList.toggle("answering", !$("drawer").hidden);
  if (!shape && !point) return;
  if (isPhone()) togglePanel(false);
  asking = new AbortController();
  const { signal } = asking;
  $("answer-title").textContent = shape ? "Clear sky of the area" : "History of the pixel";
  $("answer").replaceChildren(h("p", { class: "hint" }, "Asking…"));
  try {
    if (shape) await askSeries(shape, signal);
    else await askPlace(point, signal);
  } catch (error) {
    if (!signal.aborted) $("answer").replaceChildren(h("p", { class: "problem", role: "alert" }, error.message));
  }
}

async function askSeries(geometry, signal) {
  const feature = { type: "Feature", properties: {}, geometry };
  const { id, snapshot: as_of } = choice.opened();
  const { sensor } = state();
  const found = await (await api.clearSky(id, feature, { sensor, as_of }, { signal })).json();
  if (signal.aborted) return;
  await showSeries($("answer"), found, {
    csv: async () => (await api.clearSky(id, feature, { sensor, as_of, f: "csv" })).blob(),
    signal,
  });
}

async function askPlace(point, signal) {
  const [lng, lat] = point;
  const { id, snapshot } = choice.opened();
  const found = await api.point(id, { lon: lng, lat, as_of: snapshot }, { signal });
  if (!signal.aborted) showPlace($("answer"), found, { lng, lat });
}
