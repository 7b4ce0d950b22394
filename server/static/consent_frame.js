// One visitor of the consent test: chooses, does something, and tells the page around it what the browser keeps.

const { case: name, run, visitor } = document.currentScript.dataset;
const SETTLE_MS = 1500;
const PATIENCE_MS = 8000;
const LOOK_MS = 50;

// A visitor whose browser says no to every site. Set before the snippet looks.
if (name === "gpc") Object.defineProperty(Navigator.prototype, "globalPrivacyControl", { get: () => true });

const pass = (ms) => new Promise((over) => setTimeout(over, ms));
const ours = (text) => text.startsWith("trz_");

/** Waits until it holds, as long as there is patience. */
async function until(look) {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await pass(LOOK_MS)) if (await look()) return;
}

async function kept() {
  const databases = indexedDB.databases ? await indexedDB.databases() : [];
  return {
    cookie: document.cookie.split("; ").filter(ours).map((one) => one.split("=")[0]),
    local: Object.keys(localStorage).filter(ours),
    session: Object.keys(sessionStorage).filter(ours),
    databases: databases.map((one) => one.name).filter(ours),
  };
}

const drained = () => !Object.keys(localStorage).some((key) => key.startsWith("trz_q"));
const did = (event) => trenza.track(event, { run, case: name });

async function play() {
  await until(() => typeof window.trenza?.user === "function");
  trenza.setAnonymousId(visitor);
  if (name === "none" || name === "gpc") {
    did("Consent test");
    await pass(SETTLE_MS);
  } else {
    trenza.consent("granted", { analytics: true, ads: name !== "partial" });
    did("Consent test");
    await pass(LOOK_MS);
    await until(drained);
  }
  if (name === "withdrawn") {
    trenza.consent("denied");
    did("Consent test after");
    await until(async () => !(await kept()).databases.length);
    await pass(SETTLE_MS);
  }
  parent.postMessage({ run, case: name, kept: await kept() }, location.origin);
}

void play();
