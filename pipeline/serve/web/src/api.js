// What the page asks the server that it came from.

const base = new URL(".", document.baseURI);

export const href = (path) => new URL(path, base).href;

let key = sessionStorage.getItem("key"); // of this tab alone, never in a link

export const keyed = () => (key ? { "X-API-Key": key } : {});

export function useKey(given) {
  key = given;
  sessionStorage.setItem("key", given);
}

export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Fetch an answer; its problem (RFC 9457) becomes the message of the error. */
export async function ask(path, options = {}) {
  const answer = await fetch(href(path), { ...options, headers: { ...options.headers, ...keyed() } });
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  const detail = typeof problem.detail === "string" ? problem.detail : problem.title;
  throw new Refused(detail || `the server answered with ${answer.status}`, answer.status);
}

export const json = async (path, options) => (await ask(path, options)).json();

const encoded = (values) =>
  Object.entries(values)
    .filter(([, value]) => value !== "" && value != null)
    .map(([key, value]) => `${key}=${encodeURIComponent(value).replace(/%2C/g, ",").replace(/%3A/g, ":")}`)
    .join("&");

export const archives = () => json("archives");

/** One archive, with its scenes by time, also where they are an answer of their own. */
export async function archive(id) {
  const found = await json(`archives/${encodeURIComponent(id)}`);
  if (!Array.isArray(found.scenes)) {
    const link = found.scenes?.href ?? found.links?.find((each) => each.rel === "scenes")?.href;
    found.scenes = link ? (await json(link)).scenes : [];
  }
  found.scenes.sort((a, b) => a.time.localeCompare(b.time));
  return found;
}

export const snapshot = async (id) => (await json(`archives/${encodeURIComponent(id)}`)).snapshot;

export const tiles = (id, values) =>
  `${href(`archives/${encodeURIComponent(id)}/tiles/WebMercatorQuad/`)}{z}/{x}/{y}.png?${encoded(values)}`;

export const point = (id, values, options) =>
  json(`archives/${encodeURIComponent(id)}/point?${encoded(values)}`, options);

export const clearSky = (id, feature, values, options) =>
  ask(`archives/${encodeURIComponent(id)}/clear-sky?${encoded(values)}`, {
    method: "POST",
    headers: { "content-type": "application/geo+json" },
    body: JSON.stringify(feature),
    ...options,
  });
