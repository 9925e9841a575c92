// The controls of the panel: they show the state, and change it.
import * as choice from "./choice.js";
import { $, fill, h } from "./dom.js";
import { change, state } from "./state.js";
import { minute, periodInWords, sceneInWords } from "./words.js";

const onChange = (id, action, event = "change") => $(id).addEventListener(event, (e) => action(e.target));

export function start() {
  onChange("show-composite", ({ checked }) => toggle("composite", checked));
  onChange("show-mask", ({ checked }) => toggle("mask", checked));
  onChange("composite", ({ value }) => change({ composite: value, period: "", bands: "" }));
  onChange("period", ({ value }) => change({ period: value }));
  onChange("bands", ({ value }) => (value === "own" ? ownBands() : change({ bands: value })));
  onChange("composite-opacity", ({ value }) => change({ co: value }), "input");
  onChange("mask-opacity", ({ value }) => change({ mo: value }), "input");
  onChange("sensor", ({ value }) => change({ sensor: value }));
  onChange("compare", ({ value }) => change({ compare: value }));
  onChange("other", ({ value }) => change({ other: value }));
  onChange("split", ({ value }) => change({ split: value }), "input");
  $("panel-button").addEventListener("click", () => togglePanel());
}

export function togglePanel(open = !$("panel").classList.contains("open")) {
  $("panel").classList.toggle("open", open);
  $("panel-button").setAttribute("aria-expanded", String(open));
}

export function toggle(layer, on = !choice.shows(layer)) {
  const shown = new Set(state().show.split(",").filter(Boolean));
  shown[on ? "add" : "delete"](layer);
  change({ show: ["composite", "mask"].filter((each) => shown.has(each)).join(",") || "none" });
}

const WAYS = ["", "mask", "dates"];
export const nextCompare = () => change({ compare: WAYS[(WAYS.indexOf(state().compare) + 1) % WAYS.length] });

function ownBands() {
  const usable = choice.composite().bands.slice(0, 3);
  change({ bands: usable.length === 3 ? usable.join(",") : choice.bands() });
}

/** Bring all controls in line with the state. */
export function update() {
  const { co, mo, sensor, compare, split } = state();
  const archive = choice.opened();
  $("show-composite").checked = choice.shows("composite");
  $("show-mask").checked = choice.shows("mask");
  const made = choice.composite();
  fill($("composite"), archive.composites.map((each) => [each.name, each.title ?? each.name]), made?.name);
  fill($("period"), periods(made), state().period);
  fill($("bands"), choice.combinations(), choice.bands());
  showOwnBands(made);
  $("composite-opacity").value = co;
  $("mask-opacity").value = mo;
  fill($("sensor"), [["", "all"], ...archive.sensors.map((each) => name(each)).map((each) => [each, each])], sensor);
  $("compare").value = compare;
  $("other-row").hidden = compare !== "dates";
  if (compare === "dates")
    fill($("other"), choice.scenes().map((each) => [each.time, sceneInWords(each)]), choice.otherScene()?.time);
  $("divider").hidden = !compare;
  $("split").value = split;
  names(compare);
  legend(archive);
}

const name = (sensor) => sensor.name ?? sensor;

function periods(made) {
  const follows = choice.period(choice.scene()?.time);
  const automatic = follows && !state().period ? `the scene’s (${choice.periodLabel(follows)})` : "the scene’s";
  return [["", automatic], ...(made?.periods ?? []).map((each) => [each.start, choice.periodLabel(each)])];
}

function names(compare) {
  const [left, right] = [choice.scene(), choice.otherScene()];
  const period = choice.period(left?.time);
  const texts = {
    mask: [period ? `composite ${choice.periodLabel(period)}` : "composite", left ? `mask ${minute(left.time)}` : "mask"],
    dates: [left, right].map((each) => (each ? minute(each.time) : "")),
    "": ["", ""],
  }[compare];
  [$("left-name").textContent, $("right-name").textContent] = texts;
}

function showOwnBands(made) {
  const [value, box] = [choice.bands(), $("own-bands")];
  const listed = choice.combinations().at(-1)?.[0] === value && value.includes(",");
  box.hidden = !listed;
  if (!listed) return;
  const chosen = value.split(",");
  const picks = ["Red", "Green", "Blue"].map((colour, at) => {
    const select = h("select", { "aria-label": `${colour} shows`, onchange: () => change({ bands: [...box.children].map((each) => each.value).join(",") }) });
    fill(select, made.bands.map((band) => [band, band]), chosen[at]);
    return select;
  });
  box.replaceChildren(...picks);
}

function legend(archive) {
  const on = new Set(choice.classes());
  const box = $("legend");
  const rows = archive.classes.filter((each) => each.value !== 0);
  if (box.querySelectorAll("label").length !== rows.length)
    box.replaceChildren(box.firstElementChild, ...rows.map(classSwitch));
  for (const input of box.querySelectorAll("input")) input.checked = on.has(Number(input.value));
}

function classSwitch({ value, label, color }) {
  const input = h("input", { type: "checkbox", value, onchange: chooseClasses });
  return h("label", {}, input, h("span", { class: "swatch", colour: color }), label);
}

function chooseClasses() {
  const on = [...$("legend").querySelectorAll("input:checked")].map((each) => each.value);
  change({ classes: on.join(",") || "none" });
}

/** What the archive is, in the panel. */
export function facts(archive) {
  const last = archive.last_run?.finished ?? archive.last_run?.started;
  const rows = {
    Scenes: archive.scenes.length,
    Dates: archive.scenes.length ? `${archive.scenes[0].time.slice(0, 10)} – ${archive.scenes.at(-1).time.slice(0, 10)}` : null,
    Sensors: archive.sensors.map(name).join(", "),
    Composites: archive.composites.map((each) => `${each.name} (${each.method ?? "median"}, ${each.periods.length} periods: ${spanOf(each)})`).join("; ") || null,
    Pixels: archive.resolution_m ? `${archive.resolution_m} m, ${shortCrs(archive.crs)}` : null,
    Snapshot: archive.snapshot,
    "Last run": typeof last === "string" ? last.slice(0, 16).replace("T", " ") : null,
  };
  const shown = Object.entries(rows).filter(([, value]) => value != null && value !== "");
  $("facts").replaceChildren(...shown.flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, String(value))]));
}

const shortCrs = (crs) => (String(crs).length > 20 ? String(crs).split('"')[1] ?? "" : crs);
const spanOf = ({ periods: all }) =>
  all.length ? `${periodInWords(all[0])} – ${periodInWords(all.at(-1))}` : "none";
