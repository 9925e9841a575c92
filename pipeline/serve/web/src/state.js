// What the page shows, as short strings; all of it is in the URL's hash, so that a link is the view.

export const DEFAULTS = Object.freeze({
  archive: "",
  at: "", // zoom/latitude/longitude
  time: "", // of the scene; empty: the latest
  sensor: "", // whose scenes are listed; empty: all
  composite: "",
  period: "", // start of a period; empty: the one of the scene's time
  bands: "",
  show: "composite,mask",
  co: "100", // opacity of the composite, per cent
  mo: "75",
  classes: "", // shown ones; empty: cloud and shadow; "none"
  compare: "", // "", "mask" or "dates"
  split: "50",
  other: "", // time of the scene on the right
  area: "", // see geometry.js
  point: "", // longitude,latitude
  theme: "",
});

let current = { ...DEFAULTS, ...parse(location.hash) };
const listeners = new Set();

export const state = () => current;

/** Change some values; listeners hear the names of those that are new. */
export function change(values) {
  const next = { ...current, ...values };
  const changed = new Set(Object.keys(DEFAULTS).filter((key) => next[key] !== current[key]));
  if (!changed.size) return;
  current = next;
  write();
  for (const listener of listeners) listener(changed);
}

export function listen(listener) {
  listeners.add(listener);
}

export function parse(hash) {
  const found = {};
  for (const part of hash.replace(/^#/, "").split("&")) {
    const cut = part.indexOf("=");
    if (cut > 0 && part.slice(0, cut) in DEFAULTS) found[part.slice(0, cut)] = decode(part.slice(cut + 1));
  }
  return found;
}

export function format(values) {
  const parts = Object.keys(DEFAULTS)
    .filter((key) => values[key] !== DEFAULTS[key])
    .map((key) => `${key}=${encode(values[key])}`);
  return parts.length ? `#${parts.join("&")}` : "";
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return ""; // a broken link is read as far as it can be
  }
}

const encode = (text) => encodeURIComponent(text).replace(/%(2C|3A|2F|3B)/g, decodeURIComponent);

let pending = 0;
function write() {
  document.body.toggleAttribute("data-writing", true);
  clearTimeout(pending); // browsers bound how often a page may rewrite its URL
  pending = setTimeout(flush, 120);
}

export function flush() {
  document.body.toggleAttribute("data-writing", false);
  clearTimeout(pending);
  const hash = format(current);
  if (hash !== location.hash) history.replaceState(null, "", `${location.pathname}${location.search}${hash}`);
}

addEventListener("hashchange", () => change({ ...DEFAULTS, ...parse(location.hash) }));
