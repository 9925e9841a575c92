// Keys that work wherever no text is typed.
import * as answer from "./answer.js";
import * as area from "./area.js";
import { $ } from "./dom.js";
import * as panel from "./panel.js";
import * as timeline from "./timeline.js";

const ACTIONS = {
  ",": () => timeline.step(-1),
  ".": () => timeline.step(1),
  c: () => panel.toggle("composite"),
  m: () => panel.toggle("mask"),
  s: panel.nextCompare,
  d: () => (area.isDrawing() ? area.stopDrawing() : area.draw()),
  v: area.takeView,
  p: area.askCentre,
  "?": () => $("help").showModal(),
  Escape: leave,
};

function leave() {
  if (area.isDrawing()) area.stopDrawing();
  else if ($("panel").classList.contains("open")) panel.togglePanel(false);
  else if (answer.isOpen()) answer.close();
}

const isTyping = ({ target }) => target.matches?.("select, textarea, input:not([type=checkbox], [type=range])");

export function start() {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
    if (isTyping(event) && event.key !== "Escape") return;
    const action = ACTIONS[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
