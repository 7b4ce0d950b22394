// Plays every case of the consent test in a frame of its own, one after the other, and puts what was found beside what must hold.

const PATIENCE_MS = 20000;
const WAIT_S = 3;
const DATABASE = "trz_";

const button = document.querySelector("button[data-run]");
const status = document.querySelector("[data-status]");
const table = document.querySelector("table[data-nothing]");

const say = (text, good) => {
  status.hidden = false;
  status.textContent = text;
  status.classList.toggle("good", good === true);
  status.classList.toggle("alert", good === false);
};

/** What a play of before left behind. */
async function clean() {
  for (const key of Object.keys(localStorage)) if (key.startsWith("trz_")) localStorage.removeItem(key);
  for (const one of document.cookie.split("; ")) {
    const name = one.split("=")[0];
    if (name.startsWith("trz_")) document.cookie = `${name}=; Max-Age=0; Path=/`;
  }
  await new Promise((done) => {
    const request = indexedDB.deleteDatabase(DATABASE);
    request.onsuccess = request.onerror = request.onblocked = done;
  });
}

/** Plays one case and gives what its frame says; when it is over before that, the frame goes. */
function play(name, run, over) {
  return new Promise((done, fail) => {
    const frame = document.createElement("iframe");
    frame.hidden = true;
    frame.title = name;
    frame.src = `${button.dataset.run}?${new URLSearchParams({ source: button.dataset.source, case: name, run })}`;
    const end = (then) => {
      clearTimeout(timer);
      removeEventListener("message", hear);
      frame.remove();
      then();
    };
    const timer = setTimeout(() => end(() => fail(new Error(name))), PATIENCE_MS);
    const hear = ({ origin, source, data }) => {
      if (origin === location.origin && source === frame.contentWindow && data.run === run && data.case === name) end(() => done(data.kept));
    };
    addEventListener("message", hear);
    over.addEventListener("abort", () => end(fail));
    document.body.append(frame);
  });
}

async function live(query, signal) {
  const answer = await fetch(`/v1/live?${new URLSearchParams({ source: button.dataset.source, ...query })}`, { signal });
  if (!answer.ok) throw new Error(answer.status);
  return answer.json();
}

/** The events of a run that the server stored after a point, once `wanted` are there or none comes any more. */
async function stored(run, name, after, wanted) {
  const found = new Map();
  for (let next = after, more = true; more; ) {
    const page = await live({ after: next, wait_s: WAIT_S, limit: 200 });
    for (const { event, id } of page.rows) if (event?.properties?.run === run && event.properties.case === name) found.set(event.messageId ?? id, event);
    next = page.next;
    more = page.rows.length > 0 && found.size <= wanted;
  }
  return [...found.values()];
}

/** Fails, with the reason, as soon as the server refuses a request of this page. */
async function refused(after, signal) {
  for (let next = after; !signal.aborted; ) {
    const page = await live({ after: next, wait_s: WAIT_S, limit: 200 }, signal);
    const one = page.rows.find(({ state, origin }) => state === "refused" && origin === location.origin);
    if (one) throw new Error(document.querySelector(`[data-refusals] [data-code="${one.code}"]`)?.textContent ?? one.code);
    next = page.next;
  }
}

/** JSON with sorted members, to compare. */
const plain = (value) => JSON.stringify(Object.fromEntries(Object.entries(value ?? {}).sort()));

function verdict(cell, good, text) {
  cell.textContent = "";
  const tag = document.createElement("span");
  tag.className = good ? "tag" : "tag warn";
  tag.textContent = good ? table.dataset.asExpected : table.dataset.different;
  cell.append(tag, ` ${text}`);
  cell.dataset.good = good;
}

async function one(row, run) {
  await clean();
  const { case: name, keeps, events, categories } = row.dataset;
  const { next } = await live({ limit: 1 });
  const over = new AbortController();
  const kept = await Promise.race([play(name, run, over.signal), refused(next, over.signal)]).finally(() => over.abort());
  const found = await stored(run, name, next, Number(events));
  const parts = [
    ...kept.cookie.map((one) => `${table.dataset.cookie} ${one}`),
    ...kept.local.map((one) => `localStorage ${one}`),
    ...kept.session.map((one) => `sessionStorage ${one}`),
    ...kept.databases.map((one) => `IndexedDB ${one}`),
  ];
  verdict(row.querySelector("[data-browser]"), keeps === "true" ? parts.length > 0 : parts.length === 0, parts.join(", ") || table.dataset.nothing);
  const chosen = found.map((event) => plain(event.context?.consent?.categoryPreferences));
  const right = found.length === Number(events) && chosen.every((one) => one === categories);
  verdict(row.querySelector("[data-server]"), right, found.map((event, at) => `${event.event} ${chosen[at]}`).join(", ") || table.dataset.noEvent);
}

async function all() {
  button.disabled = true;
  say(status.dataset.running);
  const run = `run-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
  try {
    for (const row of table.querySelectorAll("tr[data-case]")) await one(row, run);
    const good = !table.querySelector("[data-good=false]");
    say(good ? status.dataset.good : status.dataset.bad, good);
  } catch (error) {
    say(`${status.dataset.failed} ${error.message}`, false);
  }
  await clean();
  button.disabled = false;
}

if (button) {
  button.hidden = false;
  document.querySelector("[data-static]")?.remove();
  button.addEventListener("click", all);
}
