// Times and numbers as people read them; everything is UTC.

const pad = (value) => String(value).padStart(2, "0");

export function day(time) {
  return new Date(time).toISOString().slice(0, 10);
}

export function minute(time) {
  const at = new Date(time);
  return `${day(at)} ${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}`;
}

export const percent = (value) => (value == null ? "–" : `${value >= 99.95 || value < 0.05 ? Math.round(value) : value.toFixed(1)} %`);

export const degrees = (value, digits = 4) => value.toFixed(digits);

/** A scene in a line. */
export const sceneInWords = (scene) =>
  `${minute(scene.time)} · ${scene.platform || scene.sensor} · ${percent(scene.clear_percent)} clear`;

/** A period by the calendar: 2023-06, 2023 or its first and last day. */
export function periodInWords({ start, end }) {
  const [first, after] = [new Date(start), new Date(end)];
  const last = new Date(after - 1);
  const whole = first.getUTCDate() === 1 && after.getUTCDate() === 1;
  if (whole && day(first).slice(0, 7) === day(last).slice(0, 7)) return day(first).slice(0, 7);
  if (whole && first.getUTCMonth() === 0 && after.getUTCMonth() === 0 && after.getUTCFullYear() - first.getUTCFullYear() === 1)
    return day(first).slice(0, 4);
  return `${day(first)} – ${day(last)}`;
}
