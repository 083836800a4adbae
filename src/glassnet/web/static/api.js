// The way to the server: requests, the stream of events, and base64 for the numbers that travel in JSON.

const SILENCE = "The playground does not answer: look whether `glassnet playground` still runs, and start it again.";

/** Returns what the page offers: activations, optimizers, limits, the default configuration. */
export function getFacts() {
  return request("api/facts").then((response) => response.json());
}

/** Begins a session. */
export async function openSession() {
  const { session } = await post("api/session", {});
  return new Session(session);
}

/** One race on the server: requests by path within the session, and its events. */
export class Session {
  #base;
  #source = null;

  constructor(token) {
    this.#base = `api/session/${token}/`;
  }

  /** Returns the address of something in this session, for links. */
  address(path) {
    return this.#base + path;
  }

  post(path, body) {
    return post(this.address(path), body);
  }

  async bytes(path) {
    const response = await request(this.address(path));
    return response.arrayBuffer();
  }

  /**
   * Follows the events until `close`; the browser connects again by itself where it can.
   *
   * @param {{open: Function, state: Function, points: Function, lost: Function, broken: Function, ended: Function}}
   *   handlers - open and broken: the connection is there, is lost for now; ended: this session is over
   */
  listen(handlers) {
    const source = new EventSource(this.address("events"));
    this.#source = source;
    for (const name of ["state", "points", "lost"]) {
      source.addEventListener(name, (event) => handlers[name](JSON.parse(event.data)));
    }
    source.addEventListener("open", () => handlers.open());
    source.addEventListener("ended", () => this.#end(handlers));
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) this.#end(handlers);
      else handlers.broken();
    });
  }

  close() {
    this.#source?.close();
    this.#source = null;
  }

  #end(handlers) {
    if (!this.#source) return;
    this.close();
    handlers.ended();
  }
}

/** Returns bytes as base64. */
export function toBase64(bytes) {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** Returns the bytes of a text in base64. */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** Returns the float32 numbers (little endian) of a text in base64. */
export function floatsFromBase64(text) {
  return new Float32Array(fromBase64(text).buffer);
}

async function post(path, body) {
  const headers = { "Content-Type": "application/json", "X-Glassnet": "1" };
  const response = await request(path, { method: "POST", headers, body: JSON.stringify(body) });
  return response.json();
}

/** Returns the answer; where there is none, or a refusal, throws an error with one sentence for the reader. */
async function request(path, options) {
  const response = await fetch(path, options).catch(() => {
    throw new Error(SILENCE);
  });
  if (!response.ok) throw new Error(await sentenceOf(response));
  return response;
}

async function sentenceOf(response) {
  const answer = await response.json().catch(() => ({}));
  return answer.error ?? `The server answered with the status ${response.status}, and did not say why.`;
}
