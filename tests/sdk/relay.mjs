// A relay between an SDK and a program that spoils the first delivery, or each until it is healed, and lets everything after it pass.

import { createServer, request as ask } from "node:http";

/** What may happen to the first request that delivers events. */
export const PERILS = ["none", "429", "429 with Retry-After", "503", "lost"];
/** What may happen to each of them: the server is away until the page has been loaded anew. */
export const RELOAD = "reload";
/** Nothing happens: straight to the program, over TLS. */
export const TLS = "https";

/** What delivers events: not the questions that SDKs ask first, nor preflights. */
const delivers = (request) => (request.method === "POST" && !/^\/(flags|decide)\b/.test(request.url))
  || /^\/(i|pixel)\b/.test(request.url);

const REFUSALS = { "429": [429], "429 with Retry-After": [429, "1"], "503": [503] };

/** Starts one in front of `target` (an http address). */
export async function relay(target, peril) {
  const { hostname, port } = new URL(target);
  const state = { deliveries: 0, seen: [], answers: [], healed: false };
  // An event of 20 KB in a query is a long line.
  const server = createServer({ maxHeaderSize: 64 * 1024 }, (request, response) => {
    const delivery = delivers(request) && (state.deliveries += 1);
    const first = delivery === 1;
    state.seen.push(`${request.method} ${request.url.slice(0, 80)}`);
    if (delivery && peril === RELOAD && !state.healed) return request.socket.destroy();
    if (first && REFUSALS[peril]) return refuse(request, response, ...REFUSALS[peril]);
    const onward = ask({ hostname, port, path: request.url, method: request.method, headers: request.headers }, (answer) => {
      if (first && peril === "lost") {
        // It is stored, and the acknowledgement never arrives.
        answer.resume().once("end", () => request.socket.destroy());
        return;
      }
      // A port that was another program's may still be asked by somebody else.
      if (delivery || request.headers["sec-fetch-mode"]) state.answers.push(answer.statusCode);
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.once("error", () => request.socket.destroy());
    request.pipe(onward);
  });
  await new Promise((done, fail) => server.once("error", fail).listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    state,
    close: () => new Promise((done) => { server.close(done); server.closeAllConnections(); }),
  };
}

/** No relay: the program itself at `url`. */
export const straight = (url) => ({ url, state: { deliveries: 0, seen: [], answers: [] }, close: () => undefined });

/** As the programs themselves refuse, so that browsers may read it. */
function refuse(request, response, status, retryAfter) {
  request.resume().once("end", () => {
    if (request.headers.origin) {
      response.setHeader("Access-Control-Allow-Origin", request.headers.origin);
      response.setHeader("Access-Control-Allow-Credentials", "true");
      response.setHeader("Access-Control-Expose-Headers", "Retry-After, X-RateLimit-Reset");
    }
    if (retryAfter) response.setHeader("Retry-After", retryAfter);
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(JSON.stringify({ success: false, code: "spoiled", message: "come again", hint: "" }));
  });
}
