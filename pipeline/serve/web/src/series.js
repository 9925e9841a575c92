// The clear share of an area over time: a chart that zooms, the numbers, and what the archive does not know.
import { $, h, notify } from "./dom.js";
import { change } from "./state.js";
import { day, minute, percent } from "./words.js";

let plot = null;
let watching = null;

const from = (row) => row.interval?.from ?? row.time;
const until = (row) => row.interval?.to ?? row.time;

/** Show a series of the API; `csv` fetches it as a file. */
export async function showSeries(box, found, { csv, signal }) {
  const answer = found.features?.[0]?.properties ?? found;
  const rows = [...answer.data].sort((a, b) => from(a).localeCompare(from(b)));
  const scenes = rows.filter((row) => row.state === "scene" || row.clear_percent != null);
  const unknown = rows.filter((row) => /never|not archived|partly/.test(row.state ?? ""));
  const figure = h("div", { id: "chart", role: "img", "aria-label": `Clear share of ${scenes.length} scenes; the table below has the numbers` });
  const download = h("button", { type: "button", id: "csv", onclick: () => save(csv) }, "Download CSV");
  box.replaceChildren(
    summary(answer.summary ?? {}, scenes),
    figure,
    h("p", { class: "hint" }, "Drag to zoom, double click to see all; a click on a point shows its scene."),
    ...unknownDates(unknown),
    download,
    table(scenes),
  );
  const { default: Plot } = await import("uplot");
  if (!signal.aborted) draw(Plot, figure, scenes, unknown);
}

function summary(found, scenes) {
  const gap = found.longest_gap ?? found.gap;
  const facts = [
    ["Scenes", found.scenes ?? scenes.length],
    ["Clear dates", found.clear_dates],
    ["Median clear", found.median_clear_percent ?? found.median_clear, percent],
    ["First clear", found.first_clear, day],
    ["Last clear", found.last_clear, day],
    ["Longest gap", found.longest_gap_days ?? gap?.days, (days) => `${days} days`],
    ["Pixels", found.pixels ?? scenes[0]?.pixels, (count) => Number(count).toLocaleString("en")],
  ];
  const shown = facts.filter(([, value]) => value != null);
  return h("dl", { class: "numbers" }, shown.map(([name, value, words = String]) => h("div", {}, h("dt", {}, name), h("dd", {}, words(value)))));
}

function unknownDates(rows) {
  if (!rows.length) return [];
  const spans = rows.map((row) => `${day(from(row))} – ${day(until(row))} (${row.state})`);
  const shown = spans.length > 4 ? [...spans.slice(0, 4), `${spans.length - 4} more`] : spans;
  return [h("p", { class: "unknown" }, `Not known: ${shown.join("; ")}`)];
}

function table(scenes) {
  const cells = (row) => [minute(from(row)), row.sensor ?? "", percent(row.clear_percent), percent(row.coverage_percent)];
  const head = ["Time (UTC)", "Sensor", "Clear", "Covered"].map((text) => h("th", { scope: "col" }, text));
  const body = scenes.map((row) => h("tr", {}, cells(row).map((text) => h("td", {}, text))));
  return h("details", {}, h("summary", {}, `${scenes.length} scenes as a table`),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Scenes" }, h("table", { id: "scenes" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body))));
}

async function save(csv) {
  try {
    const url = URL.createObjectURL(await csv());
    h("a", { href: url, download: "clear-sky.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  } catch (error) {
    notify(`No CSV: ${error.message}`);
  }
}

const seconds = (time) => Date.parse(time) / 1000;
const FULL = 80; // per cent: what `cloudmask query` calls a clear date

function draw(Plot, box, scenes, unknown) {
  plot?.destroy();
  watching?.disconnect();
  const styles = getComputedStyle(document.documentElement);
  const colour = (name) => styles.getPropertyValue(`--${name}`).trim();
  const sensors = [...new Set(scenes.map((row) => row.sensor))].sort();
  const times = scenes.map((row) => seconds(from(row)));
  const data = [times, ...sensors.map((sensor) => scenes.map((row) => (row.sensor === sensor ? row.clear_percent : null)))];
  const axis = { stroke: colour("quiet"), grid: { stroke: colour("edge"), width: 1 }, ticks: { stroke: colour("edge"), width: 1 }, font: "11px system-ui, sans-serif" };
  const size = () => ({ width: Math.max(240, box.clientWidth), height: 220 });
  plot = new Plot(
    {
      ...size(),
      tzDate: (stamp) => Plot.tzDate(new Date(stamp * 1000), "Etc/UTC"),
      scales: { y: { range: [0, 100] }, x: { range: (_, low, high) => (low === high ? [low - 86400, high + 86400] : padded(low, high)) } },
      axes: [{ ...axis, space: 60 }, { ...axis, size: 50, values: (_, values) => values.map((each) => `${each} %`) }],
      series: [
        { value: (_, stamp) => (stamp == null ? "–" : minute(stamp * 1000)), label: "Time" },
        ...sensors.map((sensor, at) => ({
          label: sensor ?? "clear",
          stroke: colour(`sensor-${at % 4}`),
          width: 1.5,
          spanGaps: true,
          points: { show: true, size: 6, fill: colour(`sensor-${at % 4}`) },
          value: (_, value) => (value == null ? "–" : percent(value)),
        })),
      ],
      cursor: { drag: { x: true, y: false } },
      hooks: { drawClear: [(made) => shade(made, unknown, colour)] },
    },
    data,
    box,
  );
  plot.over.addEventListener("click", () => {
    const at = plot.cursor.idx;
    if (at != null) change({ time: from(scenes[at]) });
  });
  watching = new ResizeObserver(() => plot.setSize(size()));
  watching.observe(box);
}

const padded = (low, high) => [low - 0.02 * (high - low), high + 0.02 * (high - low)];

/** Dates that nobody searched are grey, and a line tells from where on a date is called clear. */
function shade(made, unknown, colour) {
  const { ctx, bbox } = made;
  const x = (time) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, made.valToPos(seconds(time), "x", true)));
  ctx.save();
  ctx.fillStyle = colour("unknown");
  for (const row of unknown) ctx.fillRect(x(from(row)), bbox.top, x(until(row)) - x(from(row)), bbox.height);
  ctx.strokeStyle = colour("quiet");
  ctx.setLineDash([4, 4]);
  ctx.beginPath();
  const y = made.valToPos(FULL, "y", true);
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}

/** Draw the chart again in the colours of another theme. */
export const chart = () => (plot && document.contains($("chart")) ? plot : null);
