// A recording collector: answers like the capture API, misbehaves on demand, merges the root context like the server.

import { createServer } from "node:http";
import { isDeepStrictEqual } from "node:util";

const PATIENCE_MS = 30_000;

export class Collector {
  /** Requests in order of arrival: { at, status, bytes, body }. */
  requests = [];
  /** messageId to the event with the root context merged in. */
  stored = new Map();
  /** Events that came again with other content: the server would flag them. */
  conflicts = [];
  preflights = 0;
  /** (body, text) => { status, retryAfter, destroy, text, store } or undefined for a good answer. */
  behave = () => undefined;
  #watchers = new Set();

  constructor() {
    this.server = createServer((request, response) => this.handle(request, response));
  }

  async up(port = this.port ?? 0) {
    await new Promise((done, fail) => this.server.once("error", fail).listen(port, "127.0.0.1", done));
    this.port = this.server.address().port;
    this.origin = `http://127.0.0.1:${this.port}`;
    return this;
  }

  /** Connection refused from now on. */
  async down() {
    const closed = new Promise((done) => this.server.close(done));
    this.server.closeAllConnections();
    await closed;
  }

  handle(request, response) {
    response.setHeader("Access-Control-Allow-Origin", request.headers.origin ?? "*");
    response.setHeader("Access-Control-Expose-Headers", "Retry-After");
    if (request.method === "OPTIONS") {
      this.preflights += 1;
      response.end();
      return;
    }
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("error", () => undefined);
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const body = JSON.parse(text);
      const { status = 200, retryAfter, destroy, reply, store = status === 200 && !destroy } = this.behave(body, text) ?? {};
      if (store) body.batch.forEach((event) => this.#store(body, event));
      this.requests.push({
        at: Date.now(), status, destroy, bytes: Buffer.byteLength(text), text, body, cookie: request.headers.cookie,
        type: request.headers["content-type"], path: request.url,
      });
      if (destroy) request.socket.destroy();
      else {
        if (retryAfter) response.setHeader("Retry-After", retryAfter);
        response.writeHead(status, { "Content-Type": "application/json" });
        response.end(reply ?? JSON.stringify(status === 200 ? { success: true } : { code: "no", message: "no" }));
      }
      for (const watcher of [...this.#watchers]) watcher();
    });
  }

  #store(body, event) {
    const merged = { ...event, context: { ...body.context, ...event.context } };
    const before = this.stored.get(event.messageId);
    if (before && !isDeepStrictEqual(before, merged)) this.conflicts.push([before, merged]);
    if (!before) this.stored.set(event.messageId, merged);
  }

  get events() {
    return [...this.stored.values()];
  }

  /** Names of the stored track events, sorted. */
  get names() {
    return this.events.filter((e) => e.type === "track").map((e) => e.event).sort();
  }

  /** Resolves when `holds` does; checked after each request. */
  until(holds, what = String(holds)) {
    return new Promise((resolve, reject) => {
      const stop = () => { clearTimeout(timer); this.#watchers.delete(check); };
      const timer = setTimeout(() => {
        stop();
        reject(new Error(`never came true: ${what}; ${this.requests.length} requests, ${this.stored.size} stored`));
      }, PATIENCE_MS);
      const check = () => { if (holds(this)) { stop(); resolve(); } };
      this.#watchers.add(check);
      check();
    });
  }
}
