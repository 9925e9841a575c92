// Elements by id, and elements made from data: text is only ever set as text, so that no title becomes markup.

export const $ = (id) => document.getElementById(id);

export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "colour") value ? (element.style.background = value) : element.classList.add("nothing");
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((each) => each != null));
  return element;
}

/** Fill a <select> with [value, label] pairs, and choose one. */
export function fill(select, pairs, chosen) {
  const unchanged =
    select.options.length === pairs.length &&
    pairs.every(([value, label], at) => select.options[at].value === value && select.options[at].text === label);
  if (!unchanged) select.replaceChildren(...pairs.map(([value, label]) => h("option", { value }, label)));
  select.value = chosen;
}

/** Tell something in a corner for some seconds; readers of screens hear it. */
export function notify(text, seconds = 8) {
  const box = $("notices");
  if ([...box.children].some((each) => each.textContent === text)) return;
  const notice = h("p", {}, text);
  box.append(notice);
  setTimeout(() => notice.remove(), 1000 * seconds);
}

export const isPhone = () => matchMedia("(max-width: 760px)").matches;
