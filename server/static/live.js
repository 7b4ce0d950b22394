// Keeps a list of events up to date: asks for what is new, and a row that is there already takes the place of its older self.
// Without this script the link beside the list does the same by hand.

const WAIT_S = 25;
const RETRY_MS = [1000, 2000, 5000, 10000, 30000];
const ROWS_MAX = 500;
/** Between two questions, however much comes. */
const EVERY_MS = 300;

const list = document.querySelector("[data-next]");
const status = document.querySelector("[data-status]");
const pause = document.querySelector("[data-pause]");
let asking = new AbortController();
let paused = false;

const pass = (ms) => new Promise((over) => setTimeout(over, ms));
const say = (text) => {
  if (status.textContent !== text) status.textContent = text;
};

/** Puts rows in, the newest on top; an open row stays open. */
function take(fresh) {
  for (const row of [...fresh.children].reverse()) {
    const old = document.getElementById(row.id);
    if (!old) list.prepend(row);
    else if (!old.contains(document.activeElement)) {
      const open = [...old.querySelectorAll("details")].map((one) => one.open);
      row.querySelectorAll("details").forEach((one, at) => (one.open = open[at] ?? false));
      if (row.hasAttribute("data-again")) {
        old.remove();
        list.prepend(row);
      } else old.replaceWith(row);
    } else {
      // Somebody is in the row: only what is said of it changes.
      for (const part of ["[data-notes]", "[data-verdict]"]) old.querySelector(part).replaceWith(row.querySelector(part));
    }
    show(row);
  }
  while (list.children.length > ROWS_MAX) list.lastElementChild.remove();
  list.dataset.next = fresh.dataset.next;
  const passed = document.querySelector("[data-passed]");
  if (fresh.dataset.passedText) {
    passed.textContent = fresh.dataset.passedText;
    passed.hidden = false;
  }
  if (list.children.length) document.querySelector("[data-none]")?.remove();
}

async function ask() {
  const url = new URL(list.dataset.rows, location.href);
  url.searchParams.set("after", list.dataset.next);
  url.searchParams.set("wait_s", WAIT_S);
  const answer = await fetch(url, { signal: asking.signal });
  // The session is over: the page says so better.
  if (answer.redirected) return location.reload();
  if (!answer.ok) throw new Error(answer.status);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  take(page.querySelector("[data-next]"));
}

async function follow() {
  let failures = 0;
  while (!paused) {
    try {
      await ask();
      failures = 0;
      await pass(EVERY_MS);
      if (!paused) say(list.dataset.following);
    } catch (error) {
      if (error.name === "AbortError") continue;
      say(list.dataset.broken);
      const wait = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)];
      failures += 1;
      await pass(wait);
    }
  }
}

/** Buttons that only work with a script are shown by it. */
function show(within) {
  for (const button of within.querySelectorAll("[data-copy]")) button.hidden = false;
}

async function copy(button) {
  const text = button.parentElement.querySelector("code").textContent;
  try {
    await navigator.clipboard.writeText(text);
    const before = button.textContent;
    button.textContent = button.dataset.copied;
    setTimeout(() => (button.textContent = before), 2000);
  } catch {
    // Pages that came in clear may not write there: the text is selected, and Ctrl-C does it.
    getSelection().selectAllChildren(button.parentElement.querySelector("code"));
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});
show(document);
if (list) {
  pause.hidden = false;
  document.querySelector("[data-refresh]")?.remove();
  say(list.dataset.following);
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", paused);
    pause.textContent = paused ? pause.dataset.resume : pause.dataset.pause;
    say(paused ? list.dataset.paused : list.dataset.following);
    if (paused) {
      asking.abort();
      asking = new AbortController();
    } else follow();
  });
  follow();
}
