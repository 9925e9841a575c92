// Light or dark: what the system says, unless the state says otherwise.
import { state } from "./state.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

export const theme = () => state().theme || (dark.matches ? "dark" : "light");

export function apply() {
  document.documentElement.dataset.theme = theme();
}

export const onSystemChange = (action) => dark.addEventListener("change", action);
