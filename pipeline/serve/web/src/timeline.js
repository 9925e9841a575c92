// The strip of dates: one bar a scene, as high as its clear share; it is a slider for pointers and keys.
import * as choice from "./choice.js";
import { $, h } from "./dom.js";
import { change, listen, state } from "./state.js";
import { day, sceneInWords } from "./words.js";

const AXIS = 18; // px below the bars
const DAY = 86_400_000;
let view = null; // [from, to] in milliseconds
let hovered = null;

const sensorNames = () => [...new Set((choice.opened()?.scenes ?? []).map((each) => each.sensor))].sort();

const strip = () => $("strip");
const moment = (scene) => Date.parse(scene.time);

export function start() {
  const element = strip();
  new ResizeObserver(draw).observe(element);
  element.addEventListener("keydown", onKey);
  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    choose(nearest(event.offsetX));
  });
  element.addEventListener("pointermove", (event) => {
    if (event.buttons) choose(nearest(event.offsetX));
    hovered = nearest(event.offsetX);
    element.title = hovered ? sceneInWords(hovered) : "";
    draw();
  });
  element.addEventListener("pointerleave", () => {
    hovered = null;
    draw();
  });
  element.addEventListener("wheel", onWheel, { passive: false });
  $("earlier").addEventListener("click", () => step(-1));
  $("later").addEventListener("click", () => step(1));
  $("whole").addEventListener("click", () => {
    view = whole();
    update();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  listen((changed) => {
    if (["sensor"].some((key) => changed.has(key))) view = whole();
    if (["time", "sensor", "compare", "other", "composite", "period", "theme"].some((key) => changed.has(key))) update();
  });
}

/** Show all dates of the archive that is open. */
export function reset() {
  view = whole();
  update();
}

export function step(by) {
  const all = choice.scenes();
  const at = all.indexOf(choice.scene());
  if (all.length) choose(all[Math.min(all.length - 1, Math.max(0, at + by))]);
}

function choose(scene) {
  if (!scene) return;
  change({ time: scene.time });
  if (view && (moment(scene) < view[0] || moment(scene) > view[1])) {
    const half = (view[1] - view[0]) / 2;
    view = [moment(scene) - half, moment(scene) + half];
    update();
  }
}

function whole() {
  const all = choice.scenes();
  if (!all.length) return null;
  const [first, last] = [moment(all[0]), moment(all.at(-1))];
  const margin = Math.max(2 * DAY, 0.02 * (last - first));
  return [first - margin, last + margin];
}

const width = () => strip().clientWidth;
const toX = (time) => ((time - view[0]) / (view[1] - view[0])) * width();
const toTime = (x) => view[0] + (x / width()) * (view[1] - view[0]);

function nearest(x) {
  if (!view) return null;
  const at = toTime(x);
  return choice.scenes().reduce(
    (best, each) => (!best || Math.abs(moment(each) - at) < Math.abs(moment(best) - at) ? each : best),
    null,
  );
}

function onKey(event) {
  const all = choice.scenes();
  const jumps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -5, PageUp: 5, Home: -all.length, End: all.length };
  if (!(event.key in jumps)) return;
  event.preventDefault();
  step(jumps[event.key]);
}

function onWheel(event) {
  const all = whole();
  if (!all) return;
  event.preventDefault();
  const factor = Math.exp((event.ctrlKey ? 0.01 : 0.002) * event.deltaY);
  const at = toTime(event.offsetX);
  const span = Math.min(all[1] - all[0], Math.max(14 * DAY, factor * (view[1] - view[0])));
  const from = Math.max(all[0], Math.min(all[1] - span, at - ((at - view[0]) / (view[1] - view[0])) * span));
  view = [from, from + span];
  update();
}

function update() {
  const all = choice.scenes();
  const scene = choice.scene();
  $("scene").textContent = scene ? sceneInWords(scene) : "No scene yet";
  $("sensors").replaceChildren(...sensorNames().map((name, at) => h("span", {}, h("i", { class: `sensor-${at % 4}` }), name)));
  $("whole").hidden = !view || String(view) === String(whole());
  const element = strip();
  element.setAttribute("aria-valuemax", String(Math.max(0, all.length - 1)));
  element.setAttribute("aria-valuenow", String(Math.max(0, all.indexOf(scene))));
  element.setAttribute("aria-valuetext", scene ? sceneInWords(scene) : "no scene");
  draw();
}

export function draw() {
  const canvas = strip().firstElementChild;
  const [w, hgt] = [width(), strip().clientHeight];
  const ratio = devicePixelRatio || 1;
  canvas.width = w * ratio;
  canvas.height = hgt * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  if (!view) return;
  const styles = getComputedStyle(document.documentElement);
  const colour = (name) => styles.getPropertyValue(`--${name}`).trim();
  const floor = hgt - AXIS;
  drawPeriod(pen, floor, colour);
  drawAxis(pen, floor, w, colour);
  drawBars(pen, floor, colour);
}

function drawPeriod(pen, floor, colour) {
  const period = choice.period(choice.scene()?.time);
  if (!period) return;
  const [from, to] = [toX(Date.parse(period.start)), toX(Date.parse(period.end))];
  pen.fillStyle = colour("period");
  pen.fillRect(from, 0, to - from, floor);
}

function drawBars(pen, floor, colour) {
  const all = choice.scenes();
  const sensors = sensorNames();
  const gaps = all.slice(1).map((each, at) => toX(moment(each)) - toX(moment(all[at])));
  const bar = Math.max(1.5, Math.min(9, (gaps.length ? gaps.sort((a, b) => a - b)[gaps.length >> 2] : 9) - 1));
  const chosen = choice.scene();
  const other = state().compare === "dates" ? choice.otherScene() : null;
  for (const each of all) {
    const x = toX(moment(each)) - bar / 2;
    const height = ((each.clear_percent ?? 0) / 100) * (floor - 8);
    pen.fillStyle = colour("bar-back");
    pen.fillRect(x, 8, bar, floor - 8);
    pen.fillStyle = colour(`sensor-${sensors.indexOf(each.sensor) % 4}`);
    pen.globalAlpha = !hovered || each === hovered || each === chosen ? 1 : 0.75;
    pen.fillRect(x, floor - height, bar, height);
    pen.globalAlpha = 1;
  }
  if (other) mark(pen, toX(moment(other)), floor, colour("area"), bar);
  if (chosen) mark(pen, toX(moment(chosen)), floor, colour("ink"), bar);
}

function mark(pen, x, floor, colour, bar) {
  pen.strokeStyle = colour;
  pen.fillStyle = colour;
  pen.lineWidth = 1.5;
  pen.strokeRect(x - bar / 2 - 2, 7, bar + 4, floor - 6);
  pen.beginPath();
  pen.moveTo(x - 5, 0);
  pen.lineTo(x + 5, 0);
  pen.lineTo(x, 6);
  pen.fill();
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function drawAxis(pen, floor, w, colour) {
  pen.fillStyle = colour("quiet");
  pen.strokeStyle = colour("edge");
  pen.font = "11px system-ui, sans-serif";
  pen.beginPath();
  pen.moveTo(0, floor + 0.5);
  pen.lineTo(w, floor + 0.5);
  const months = (view[1] - view[0]) / (30.4 * DAY);
  const every = [1, 2, 3, 6, 12, 24, 60].find((each) => (w / months) * each >= 46) ?? 120;
  const first = new Date(view[0]);
  if (months < 1.5) return drawDays(pen, floor, w, every);
  for (let at = first.getUTCFullYear() * 12 + first.getUTCMonth(); ; at++) {
    if (at % every) continue;
    const time = Date.UTC(Math.floor(at / 12), at % 12, 1);
    if (time > view[1]) break;
    const x = toX(time);
    pen.moveTo(x, floor);
    pen.lineTo(x, floor + 5);
    const label = at % 12 === 0 || every > 6 ? String(Math.floor(at / 12)) : MONTHS[at % 12];
    if (x >= 0 && x < w - 24) pen.fillText(label, x + 3, floor + 14);
  }
  pen.stroke();
}

function drawDays(pen, floor, w) {
  const days = Math.max(1, Math.ceil((view[1] - view[0]) / DAY / (w / 80)));
  for (let time = Math.ceil(view[0] / DAY) * DAY; time < view[1]; time += days * DAY) {
    pen.moveTo(toX(time), floor);
    pen.lineTo(toX(time), floor + 5);
    if (toX(time) < w - 60) pen.fillText(day(time), toX(time) + 3, floor + 14);
  }
  pen.stroke();
}
