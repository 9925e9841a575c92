// The page: open an archive, start its parts, and let each change of the state reach the parts that show it.
import * as answer from "./answer.js";
import * as api from "./api.js";
import * as area from "./area.js";
import * as choice from "./choice.js";
import { $, fill, notify } from "./dom.js";
import { rectangle } from "./geometry.js";
import * as keys from "./keys.js";
import { pictures } from "./layers.js";
import * as map from "./map.js";
import * as panel from "./panel.js";
import { change, flush, listen, state } from "./state.js";
import { apply, onSystemChange, theme } from "./theme.js";
import * as timeline from "./timeline.js";

const PICTURES = ["time", "sensor", "composite", "period", "bands", "show", "co", "mo", "classes", "compare", "other"];
const REFRESH_S = 30;
const QUESTIONS = ["area", "point", "sensor"];

function tiling() {
  const { bbox, resolution_m: resolution } = choice.opened();
  return { box: bbox, maxzoom: map.deepest(resolution, (bbox[1] + bbox[3]) / 2) };
}

const show = () => map.show(pictures(), tiling());

async function openArchive(id, known) {
  const found = await api.archive(id);
  choice.open(found);
  document.title = `${found.title || found.id} – cloudmask`;
  fill($("archive"), known.map((each) => [each.id, each.title || each.id]), id);
  panel.facts(found);
  panel.update();
  timeline.reset();
  map.outline("region", rectangle(found.bbox));
  map.goTo(found.bbox);
  await show();
  answer.update();
}

function follow(known) {
  return (changed) => {
    if (changed.has("at")) map.arrive();
    if (changed.size === 1 && changed.has("at")) return;
    const has = (keysOfState) => keysOfState.some((key) => changed.has(key));
    if (changed.has("archive")) return void openArchive(state().archive || known[0].id, known).catch(told);
    if (changed.has("theme")) recolour();
    panel.update();
    if (has(PICTURES)) show().catch(told);
    if (changed.has("split")) map.cut();
    if (has(QUESTIONS)) answer.update();
  };
}

const told = (error) => notify(error.message);

function recolour() {
  apply();
  $("theme").value = state().theme;
  map.recolour(theme());
  timeline.draw();
  answer.update();
}

/** A run may have published: open the new state, everything chosen stays. */
async function refresh(known) {
  const { id, snapshot } = choice.opened();
  if (document.hidden || (await api.snapshot(id)) === snapshot) return;
  await openArchive(id, known);
}

async function share() {
  flush();
  try {
    await navigator.clipboard.writeText(location.href);
    notify("The link is copied.", 3);
  } catch {
    notify("Copy the address of this page: it is the link to this view.");
  }
}

/** The archives of the server; where it asks for a key, people are asked first. */
async function archives() {
  try {
    return await api.archives();
  } catch (error) {
    if (error.status !== 401) throw error;
    $("key-dialog").showModal();
    await new Promise((resolve) => $("key-form").addEventListener("submit", resolve, { once: true }));
    api.useKey($("key").value);
    return archives();
  }
}

async function start() {
  apply();
  $("theme").value = state().theme;
  panel.start();
  timeline.start();
  answer.start();
  $("theme").addEventListener("change", ({ target }) => change({ theme: target.value }));
  $("share").addEventListener("click", share);
  $("help-button").addEventListener("click", () => $("help").showModal());
  const listed = archives();
  listed.catch(() => {}); // told below, when the map is there
  await map.start(theme());
  area.start();
  keys.start();
  onSystemChange(recolour);
  const { archives: known, basemap } = await listed;
  if (basemap) map.useBasemap(basemap);
  if (!known.length) return notify("The server has no archive.");
  $("archive").addEventListener("change", ({ target }) =>
    change({ archive: target.value, at: "", time: "", sensor: "", composite: "", period: "", bands: "", classes: "", other: "", area: "", point: "" }));
  const wanted = known.find((each) => each.id === state().archive) ?? known[0];
  await openArchive(wanted.id, known);
  listen(follow(known));
  setInterval(() => refresh(known).catch(told), REFRESH_S * 1000);
  document.body.dataset.ready = "true";
}

start().catch(told);
