// The way from a page to the real server, with the faults that ways have: refused, told to wait, too small, slow, cut
// off after the server took it.

import { createServer, request as ask } from "node:http";

const PATIENCE_MS = 60_000;

export class Relay {
  /** Requests with events, in order of arrival: { at, events, bytes, status }. Unit of `at`: ms since 1970. */
  requests = [];
  /** Ids of the events that the server answered 200 to. */
  taken = new Set();
  /** Most requests that were under way at one time. */
  atOnceMax = 0;
  /**
   * What goes wrong with a request, or a promise of it: { status, retryAfter } is answered here, { lost: true } is taken
   * by the server and its answer lost, nothing passes.
   */
  fault = () => undefined;
  #atOnce = 0;
  #watchers = new Set();

  constructor(server) {
    this.target = new URL(server);
  }

  /** Listens, after `down` on the same port. */
  async up() {
    this.listener = createServer((request, response) => void this.#carry(request, response).catch(() => response.destroy()));
    await new Promise((done, fail) => this.listener.once("error", fail).listen(this.port ?? 0, "127.0.0.1", done));
    this.port = this.listener.address().port;
    this.origin = `http://127.0.0.1:${this.port}`;
    return this;
  }

  /** Connection refused from now on. */
  async down() {
    if (!this.listener.listening) return;
    const closed = new Promise((done) => this.listener.close(done));
    this.listener.closeAllConnections();
    await closed;
  }

  async #carry(request, response) {
    const body = Buffer.concat(await request.toArray());
    const { batch } = JSON.parse(body);
    const seen = { at: Date.now(), bytes: body.length, events: batch.length };
    this.requests.push(seen);
    this.atOnceMax = Math.max(this.atOnceMax, (this.#atOnce += 1));
    this.#tell();
    try {
      const { status, retryAfter, lost } = (await this.fault(seen)) ?? {};
      if (status) {
        response.writeHead(seen.status = status, {
          "Access-Control-Allow-Origin": request.headers.origin, "Access-Control-Expose-Headers": "Retry-After",
          ...(retryAfter && { "Retry-After": retryAfter }),
        }).end();
        return;
      }
      const answer = await this.#forward(request, body);
      const text = await answer.toArray();
      seen.status = answer.statusCode;
      if (answer.statusCode === 200) for (const { messageId } of batch) this.taken.add(messageId);
      if (lost) request.socket.destroy();
      else response.writeHead(answer.statusCode, answer.headers).end(Buffer.concat(text));
    } finally {
      this.#atOnce -= 1;
      this.#tell();
    }
  }

  #forward({ method, url, headers }, body) {
    const { host, ...kept } = headers;
    return new Promise((done, fail) => {
      ask({ host: this.target.hostname, port: this.target.port, method, path: url, headers: kept }, done).once("error", fail).end(body);
    });
  }

  #tell() {
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** Resolves when `holds` does; looked at after each request. */
  until(what, holds, patience = PATIENCE_MS) {
    return new Promise((resolve, reject) => {
      const stop = () => { clearTimeout(timer); this.#watchers.delete(look); };
      const look = () => { if (holds()) { stop(); resolve(); } };
      const timer = setTimeout(() => {
        stop();
        reject(new Error(`never came true: ${what}; ${this.taken.size} taken in ${this.requests.length} requests`));
      }, patience);
      this.#watchers.add(look);
      look();
    });
  }
}
