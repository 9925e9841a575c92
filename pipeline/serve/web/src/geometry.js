// Areas as text for the URL: longitude,latitude,… of a ring; ";" between rings, "/" between polygons.

const DIGITS = 5; // of a degree: about a metre
export const MAX_TEXT = 6000; // characters of an area in a link

const closed = (ring) => [...ring, ring[0]];
const open = (ring) => {
  const [first, last] = [ring[0], ring.at(-1)];
  return ring.length > 1 && first[0] === last[0] && first[1] === last[1] ? ring.slice(0, -1) : ring;
};

export function toText(geometry) {
  const polygons = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
  const ring = (points) => open(points).map(([x, y]) => `${+x.toFixed(DIGITS)},${+y.toFixed(DIGITS)}`).join(",");
  return polygons.map((rings) => rings.map(ring).join(";")).join("/");
}

/** The geometry of a text, or null where it is none. */
export function fromText(text) {
  if (!text) return null;
  const polygons = text.split("/").map((polygon) => polygon.split(";").map(toRing));
  if (polygons.flat().some((ring) => ring.length < 4 || ring.flat().some((each) => !Number.isFinite(each)))) return null;
  return polygons.length === 1
    ? { type: "Polygon", coordinates: polygons[0] }
    : { type: "MultiPolygon", coordinates: polygons };
}

function toRing(text) {
  const numbers = text.split(",").map(Number);
  const points = [];
  for (let at = 0; at + 1 < numbers.length; at += 2) points.push([numbers[at], numbers[at + 1]]);
  return closed(points);
}

/** The polygons of a GeoJSON file, with a name each. */
export function featuresOf(document) {
  const features = document.type === "FeatureCollection" ? document.features : [document];
  return features
    .map((each) => (each?.type === "Feature" ? each : { geometry: each, properties: {} }))
    .filter((each) => /Polygon$/.test(each.geometry?.type))
    .map((each, at) => ({ name: nameOf(each, at), geometry: each.geometry }));
}

function nameOf(feature, at) {
  const properties = feature.properties ?? {};
  return String(properties.name ?? properties.title ?? feature.id ?? `feature ${at + 1}`);
}

export function boundsOf(geometry) {
  const points = geometry.type === "Polygon" ? geometry.coordinates.flat() : geometry.coordinates.flat(2);
  const [xs, ys] = [points.map((each) => each[0]), points.map((each) => each[1])];
  const low = (values) => values.reduce((a, b) => Math.min(a, b));
  const high = (values) => values.reduce((a, b) => Math.max(a, b));
  return [low(xs), low(ys), high(xs), high(ys)];
}

export const rectangle = ([west, south, east, north]) => ({
  type: "Polygon",
  coordinates: [closed([[west, south], [east, south], [east, north], [west, north]])],
});
