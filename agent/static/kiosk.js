// Wipes a form that nobody touches: warns, then goes home. Everything works without it.
const form = document.querySelector("form[data-idle-s]");
const still = document.querySelector("[data-still]");
const WARNING_MS = 15000;
if (form && still) {
  const idleMs = Number(form.dataset.idleS) * 1000;
  const home = form.action.replace(/[^/]*$/, "");
  let timer;
  const wipe = () => {
    form.reset();
    form.querySelectorAll("input:not([type=hidden])").forEach((input) => { if (input.type !== "radio") input.value = ""; });
    location.replace(home);
  };
  const ask = () => {
    still.hidden = false;
    still.querySelector("button").focus();
    timer = setTimeout(wipe, WARNING_MS);
  };
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(ask, idleMs);
  };
  still.querySelector("[data-still-here]").addEventListener("click", () => {
    still.hidden = true;
    form.querySelector("input:not([type=hidden])").focus();
    wait();
  });
  for (const kind of ["pointerdown", "keydown", "input"]) addEventListener(kind, () => { if (still.hidden) wait(); });
  // A page that comes back out of the browser's memory would show what the visitor before typed.
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  form.addEventListener("submit", () => clearTimeout(timer));
  wait();
}
