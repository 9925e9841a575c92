// Without this the two pictures stand side by side; with it one is drawn over the other.
for (const box of document.querySelectorAll("[data-compare]")) {
  const slider = box.querySelector("input");
  const show = () => box.style.setProperty("--cut", slider.value + "%");
  box.classList.add("live");
  slider.hidden = false;
  slider.addEventListener("input", show);
  show();
}
