// The start of the page: opens a session, sets up the race that the address asks for, and holds the three rooms, the
// message line and the link together. The rooms know each other and the server only through the context made here.

import { fromBase64, getFacts, openSession, toBase64 } from "./api.js";
import { readFragment, writeFragment } from "./fragment.js";
import { readModel } from "./net.js";
import { mountLearn } from "./learn.js";
import { mountDraw } from "./draw.js";
import { mountStep } from "./step.js";

const MOUNTS = { learn: mountLearn, draw: mountDraw, step: mountStep };
const BROKEN = "The connection to the playground is lost: trying to get it back.";
const [SHORTEST_WAIT, LONGEST_WAIT] = [1000, 8000]; // milliseconds between two attempts to reach the server

/** Shows a sentence in the message line; "" clears it. */
function say(sentence) {
  byId("message").textContent = sentence && sentence[0].toUpperCase() + sentence.slice(1);
}

/** What all rooms share: the session, the last state, which racer is looked at, the digit on screen. */
class Playground {
  #facts;
  #session = null;
  #state = null;
  #chosen = 0;
  #pixels = null;
  #weights = new Map(); // racer -> {key, model: Promise}
  #listeners = new Map(); // name -> functions
  #rooms = {};
  #room = "";
  #lost = false; // whether this session has lost its training process
  #written = ""; // the fragment that this page wrote last
  #noted = ""; // what was last said about the link, which stays until there is something else to say

  constructor(facts) {
    this.#facts = facts;
    const context = this.#context();
    for (const [name, mount] of Object.entries(MOUNTS)) this.#rooms[name] = mount(byId(name), context);
    this.#listen();
  }

  /** Does what the address asks for: room, race and steps. */
  async open() {
    const wish = readFragment(location.hash, this.#facts.default);
    this.#written = location.hash.slice(1);
    this.#show(wish.room);
    await this.#begin(wish);
  }

  #context() {
    const within = async (call) => call(await this.#sessionOrRefusal());
    return {
      online: true,
      facts: this.#facts,
      api: {
        post: (path, body) => within((session) => session.post(path, body)),
      },
      state: () => this.#state,
      chosen: () => this.#chosen,
      choose: (racer) => this.#choose(racer),
      pixels: () => this.#pixels,
      setPixels: (pixels) => {
        this.#pixels = pixels;
        this.#tell("pixels", pixels);
      },
      net: (racer) => this.#net(racer),
      nearest: (pixels) => within((session) => nearestImages(session, pixels)),
      teach: (racer, pixels, target) =>
        within((session) => session.post("teach", { racer, pixels: toBase64(pixels), target })),
      say,
      on: (name, listener) => this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener]),
      race: (configs) => within((session) => this.#race(session, configs, null)),
      run: (action) => within((session) => session.post("run", { action })),
    };
  }

  async #sessionOrRefusal() {
    if (!this.#session) throw new Error("The playground is still being set up: try again in a moment.");
    return this.#session;
  }

  /** Begins a session with a race; tries until the server answers. */
  async #begin({ configs, steps, problem }) {
    say(problem);
    const session = await untilAnswered(openSession);
    await this.#race(session, configs, steps).catch(async (error) => {
      say(error.message);
      await this.#race(session, [this.#facts.default], null);
    });
    this.#session = session;
    this.#lost = false;
    session.listen({
      open: () => byId("message").textContent === BROKEN && say(""),
      broken: () => say(BROKEN),
      ended: () => this.#beginAgain(),
      state: (state) => this.#hear(state),
      points: (points) => this.#tell("points", points),
      lost: (loss) => this.#hearLoss(loss),
    });
    this.#showSnapshot();
  }

  /** The session is over. What lost its training process again and again is not trained to the same step once more. */
  #beginAgain() {
    const wish = readFragment(location.hash, this.#facts.default);
    this.#session = null;
    this.#begin(this.#lost ? { ...wish, steps: null } : wish).catch((error) => say(error.message));
  }

  #race(session, configs, steps) {
    this.#weights.clear();
    return session.post("race", { configs, steps });
  }

  #hear(state) {
    this.#state = state;
    if (state.racers.length && this.#chosen >= state.racers.length) this.#choose(0);
    for (const room of Object.values(this.#rooms)) room.update(state);
    this.#share();
  }

  #hearLoss(loss) {
    this.#lost = true;
    say(loss.reason);
  }

  #tell(name, what) {
    for (const listener of this.#listeners.get(name) ?? []) listener(what);
  }

  #choose(racer) {
    if (racer === this.#chosen) return;
    this.#chosen = racer;
    this.#showSnapshot();
    this.#tell("chosen", racer);
  }

  /** Returns the promise of a racer's network, the same one as long as its weights are. */
  #net(racer) {
    const key = weightsKey(this.#state?.racers[racer]);
    const known = this.#weights.get(racer);
    if (known?.key === key) return known.model;
    const model = this.#sessionOrRefusal()
      .then((session) => session.bytes(`weights?racer=${racer}`))
      .then((buffer) => readModel(buffer));
    this.#weights.set(racer, { key, model });
    model.catch(() => this.#weights.get(racer)?.model === model && this.#weights.delete(racer));
    return model;
  }

  #show(room) {
    if (room === this.#room) return;
    this.#rooms[this.#room]?.hide();
    this.#room = room;
    for (const name of Object.keys(MOUNTS)) {
      const tab = byId(`tab-${name}`);
      tab.setAttribute("aria-selected", String(name === room));
      tab.tabIndex = name === room ? 0 : -1;
      byId(name).hidden = name !== room;
    }
    this.#rooms[room].show();
  }

  #listen() {
    for (const name of Object.keys(MOUNTS)) byId(`tab-${name}`).addEventListener("click", () => this.#enter(name));
    document.querySelector("[role=tablist]").addEventListener("keydown", (event) => this.#walk(event));
    byId("dismiss").addEventListener("click", () => say(""));
    byId("copy").addEventListener("click", () => copyLink());
    byId("link").addEventListener("focus", (event) => event.target.select());
    addEventListener("hashchange", () => this.#followLink());
    const open = this.#facts.alone ? "on this computer only" : "open to everybody who reaches this address";
    byId("version").textContent = `glassnet ${this.#facts.version}, ${open}.`;
  }

  #enter(room) {
    this.#show(room);
    this.#share();
  }

  /** Arrow keys, Home and End in the list of tabs. */
  #walk(event) {
    const names = Object.keys(MOUNTS);
    const here = names.indexOf(this.#room);
    const goal = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: names.length - 1 }[event.key];
    if (goal === undefined) return;
    event.preventDefault();
    const room = names[(goal + names.length) % names.length];
    this.#enter(room);
    byId(`tab-${room}`).focus();
  }

  /** Somebody has put another link into the address line; if it is refused, the race and its address stay. */
  async #followLink() {
    if (location.hash.slice(1) === this.#written) return;
    const before = this.#written;
    const wish = readFragment(location.hash, this.#facts.default);
    this.#written = location.hash.slice(1);
    this.#show(wish.room);
    say(wish.problem);
    try {
      await this.#race(await this.#sessionOrRefusal(), wish.configs, wish.steps);
    } catch (error) {
      say(error.message);
      this.#written = before;
      this.#share();
      history.replaceState(null, "", `#${this.#written}`);
    }
  }

  /** Keeps address and link true: the room always, the race and its steps whenever training rests. */
  #share() {
    const state = this.#state;
    if (!state?.racers.length) return;
    const resting = !state.playing && !state.busy;
    const before = readFragment(`#${this.#written}`, this.#facts.default);
    const configs = resting ? state.racers.map((racer) => racer.config) : before.configs;
    const steps = resting ? state.racers.map((racer) => racer.step) : before.steps;
    const text = writeFragment({ room: this.#room, configs, steps }, this.#facts.default);
    if (text !== this.#written) {
      this.#written = text;
      history.replaceState(null, "", `#${text}`);
    }
    byId("link").value = location.href;
    const sentence = shareNote(state, resting);
    if (sentence !== this.#noted) note(sentence);
    this.#noted = sentence;
  }

  #showSnapshot() {
    const link = byId("snapshot");
    link.hidden = !this.#session;
    link.href = this.#session?.address(`snapshot?racer=${this.#chosen}`) ?? "";
    link.textContent = `Save racer ${this.#chosen + 1} as one HTML file`;
  }
}

/** What a link can not say. */
function shareNote(state, resting) {
  const taught = state.racers.reduce((sum, racer) => sum + racer.taught, 0);
  if (!resting) return "The link is brought up to date at each pause.";
  if (taught) return `The link leaves out what was taught: ${taught} ${taught === 1 ? "drawing" : "drawings"}.`;
  return "The link opens this race wherever a playground runs at the same address.";
}

/** Writes below the link. */
function note(sentence) {
  byId("share-note").textContent = sentence;
}

async function copyLink() {
  const link = byId("link");
  try {
    await navigator.clipboard.writeText(link.value);
    note("Copied.");
  } catch {
    link.focus();
    note("The link is selected: copy it with Ctrl+C, or ⌘C.");
  }
}

/** Changes with whatever changes the weights. */
function weightsKey(racer) {
  return racer ? JSON.stringify([racer.config, racer.step, racer.taught]) : "";
}

async function nearestImages(session, pixels) {
  const { images } = await session.post("nearest", { pixels: toBase64(pixels) });
  return images.map((image) => ({ ...image, pixels: fromBase64(image.pixels) }));
}

/** Asks until there is an answer, less and less often; says meanwhile why there is none. */
async function untilAnswered(ask) {
  for (let wait = SHORTEST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    try {
      const answer = await ask();
      if (wait > SHORTEST_WAIT) say("");
      return answer;
    } catch (error) {
      say(error.message);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

function byId(id) {
  return document.getElementById(id);
}

async function start() {
  const playground = new Playground(await untilAnswered(getFacts));
  await playground.open();
}

start().catch((error) => say(error.message));
