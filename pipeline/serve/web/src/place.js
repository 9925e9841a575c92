// The history of one pixel: its class in every scene, and what each composite has there.
import * as choice from "./choice.js";
import { h } from "./dom.js";
import { change } from "./state.js";
import { degrees, minute, percent, periodInWords } from "./words.js";

/** Show an answer of the API about one place. */
export function showPlace(box, found, { lng, lat }) {
  const classes = new Map(choice.opened().classes.map((each) => [each.value, each]));
  const seen = [...found.observations].sort((a, b) => a.time.localeCompare(b.time));
  box.replaceChildren(
    h("p", {}, `${degrees(lat)}° latitude, ${degrees(lng)}° longitude`),
    shares(seen, classes),
    bar(seen, classes),
    h("h3", {}, "Scenes"),
    observations(seen, classes),
    ...composites(found.composites ?? []),
  );
}

const colourOf = (each, classes) => (each.class === 0 ? null : classes.get(each.class)?.color);
const nameOf = (each, classes) => each.class_name === "unread" ? "not read" : classes.get(each.class)?.label ?? String(each.class_name ?? each.class);

function shares(seen, classes) {
  const counts = new Map();
  for (const each of seen) counts.set(nameOf(each, classes), (counts.get(nameOf(each, classes)) ?? 0) + 1);
  const texts = [...counts].sort((a, b) => b[1] - a[1]).map(([name, count]) => `${name} ${count}`);
  return h("p", { class: "hint" }, `${seen.length} scenes: ${texts.join(", ") || "none"}`);
}

/** A cell a scene, in the colour of its class; a click goes to the scene. */
function bar(seen, classes) {
  const cells = seen.map((each) =>
    h("span", { colour: colourOf(each, classes), title: `${minute(each.time)}: ${nameOf(each, classes)}`, onclick: () => change({ time: each.time }) }),
  );
  return h("div", { class: "cells", role: "img", "aria-label": "Class in each scene, by time; the table has the same" }, cells);
}

function observations(seen, classes) {
  const confidence = seen.some((each) => each.confidence != null) ? ["Confidence"] : [];
  const rows = [...seen].reverse().map((each) =>
    h("tr", {},
      h("td", {}, h("button", { type: "button", class: "link", onclick: () => change({ time: each.time }) }, minute(each.time))),
      h("td", {}, h("span", { class: "swatch", colour: colourOf(each, classes) }), nameOf(each, classes)),
      ...confidence.map(() => h("td", {}, percent(each.confidence))),
      h("td", {}, each.sensor ?? ""),
    ));
  return scrolled("Observations", ["Time (UTC)", "Class", ...confidence, "Sensor"], rows, "observations");
}

function composites(found) {
  const named = Map.groupBy ? Map.groupBy(found, (each) => each.name) : grouped(found);
  return [...named].flatMap(([name, periods]) => {
    const bands = [...new Set(periods.flatMap((each) => Object.keys(each.values ?? {})))];
    const rows = periods.map((each) =>
      h("tr", {},
        h("td", {}, periodOf(each)),
        h("td", { class: "number" }, each.count ?? "–"),
        h("td", {}, each.day ? String(each.day).slice(0, 10) : "–"),
        ...bands.map((band) => h("td", { class: "number" }, number(each.values?.[band]))),
        h("td", {}, item(each)),
      ));
    return [h("h3", {}, `Composite ${name}`), scrolled(`Composite ${name}`, ["Period", "Count", "Day", ...bands, "Item"], rows, `composite-${name}`)];
  });
}

function grouped(rows) {
  const found = new Map();
  for (const each of rows) found.set(each.name, [...(found.get(each.name) ?? []), each]);
  return found;
}

function periodOf({ period }) {
  if (typeof period === "string") return period.slice(0, 10);
  return period?.name ?? (period?.start ? periodInWords(period) : "");
}

const number = (value) => (value == null ? "–" : Number(value).toFixed(3));

function item({ item: id, item_href: link }) {
  if (!id) return "–";
  const isWeb = /^https?:/.test(link ?? "");
  return isWeb ? h("a", { href: link, rel: "noreferrer", target: "_blank", title: id }, id) : h("span", { title: id }, id);
}

function scrolled(label, heads, rows, id) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    h("table", { id },
      h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, rows)));
}

