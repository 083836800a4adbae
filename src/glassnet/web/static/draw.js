// The Draw room: a digit is drawn, and the network's answer to it stands beside at once, down to every number inside.
//
// All is computed in the page from the weights. What only the server can do, to find the nearest images and to teach,
// is handed in as `context.nearest` and `context.teach`; in the exported page they are missing, and so are their parts.

import { DrawingArea } from "./draw-area.js";
import { Lesson, NearestImages } from "./draw-lesson.js";
import { bestOf, htmlNode } from "./draw-parts.js";
import { UnitStrips, UnitView } from "./draw-units.js";
import { forward } from "./net.js";
import { formatShare, paintDigit } from "./pictures.js";
import { RacerChoice } from "./racer-choice.js";

const REFRESH = 500; // milliseconds between two looks at the weights while they change

/**
 * Fills the room.
 *
 * @param {HTMLElement} root
 * @param {object} context - see app.js; `nearest` and `teach` may be missing
 * @returns {{show: Function, hide: Function, update: Function}}
 */
export function mountDraw(root, context) {
  const room = new DrawRoom(root, context);
  return { show: () => room.show(), hide: () => room.hide(), update: () => room.update() };
}

/** Holds the parts of the room together: the digit and the network on one side, what shows them on the other. */
class DrawRoom {
  #context;
  #area;
  #form = new FormPicture();
  #bars = new ShareBars();
  #strips;
  #unit;
  #nearest;
  #lesson;
  #which;
  #visible = false;
  #model = null;
  #pixels = null;
  #answer = null;
  #changed = false; // whether the weights may have changed since they were looked at
  #following = false;
  #frame = 0;

  constructor(root, context) {
    this.#context = context;
    this.#area = new DrawingArea({ onmove: () => this.#soon(), onrest: () => this.#settle() });
    this.#unit = new UnitView((place) => this.#look(place));
    this.#strips = new UnitStrips((place) => this.#look(place));
    this.#nearest = new NearestImages(context);
    this.#lesson = new Lesson(context, () => this.#pixels);
    this.#which = new RacerChoice(context);
    root.replaceChildren(this.#layout());
    context.on("chosen", () => this.update());
    context.on("pixels", (pixels) => this.#adopt(pixels));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paint());
    new ResizeObserver(() => requestAnimationFrame(() => this.#paint())).observe(this.#strips.element);
  }

  show() {
    this.#visible = true;
    this.update();
    this.#area.paint();
    this.#refresh();
  }

  hide() {
    this.#area.lift();
    this.#visible = false;
  }

  update() {
    this.#which.show();
    this.#changed = true;
    this.#follow();
  }

  #layout() {
    const reading = htmlNode("section", { class: "draw-reading", "aria-label": "What the network reads" });
    reading.append(this.#bars.element, this.#form.element);
    const top = htmlNode("div", { class: "draw-top" }, this.#area.element, reading, this.#lesson.element);
    const inside = htmlNode("div", { class: "draw-inside" }, this.#strips.element, this.#unit.element);
    return htmlNode("div", { class: "draw-room" }, this.#which.element, top, this.#nearest.element, inside);
  }

  /** Fetches the weights as long as they change: never twice at a time, and at most every half second. */
  async #follow() {
    if (this.#following) return;
    this.#following = true;
    while (this.#changed && this.#visible) {
      this.#changed = false;
      await this.#load();
      await new Promise((resolve) => setTimeout(resolve, REFRESH));
    }
    this.#following = false;
  }

  async #load() {
    const { online, state, chosen, net, say } = this.#context;
    if (online && !state()?.racers.length) return;
    try {
      const model = await net(chosen());
      if (model === this.#model) return;
      this.#model = model;
      this.#bars.setClasses(model.classNames);
      this.#strips.setModel(model);
      this.#unit.setModel(model);
      this.#lesson.setClasses(model.classNames);
      this.#refresh();
    } catch (error) {
      say(error.message);
    }
  }

  /** Computes the answer once before the next picture on screen, however many events come until then. */
  #soon() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => this.#read());
  }

  #read() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#pixels = this.#area.form();
    this.#refresh();
  }

  /** A stroke is done, or taken back: now others may know. */
  #settle() {
    this.#read();
    this.#context.setPixels(this.#pixels);
    this.#nearest.find(this.#pixels);
    this.#lesson.forget();
    this.#bars.announce();
  }

  /** Another room has put a picture on screen. */
  #adopt(pixels) {
    if (pixels === this.#pixels) return;
    this.#area.empty();
    this.#pixels = pixels;
    this.#nearest.find(pixels);
    this.#lesson.forget();
    this.#refresh();
  }

  #refresh() {
    if (!this.#visible) return;
    this.#answer = this.#model && this.#pixels ? forward(this.#model, this.#pixels) : null;
    this.#form.show(this.#pixels);
    this.#bars.show(this.#answer);
    this.#showInside();
  }

  #showInside() {
    this.#strips.show(this.#answer, this.#unit.place);
    this.#unit.show(this.#answer);
  }

  #look(place) {
    this.#unit.place = place;
    this.#showInside();
  }

  #paint() {
    if (!this.#visible) return;
    this.#area.paint();
    this.#showInside();
  }
}

/** The digit as the network gets it. */
class FormPicture {
  constructor() {
    this.canvas = htmlNode("canvas", { role: "img", class: "draw-picture" });
    const caption = "What the network sees: 28 × 28 pixels, sized and centred like the digits that it was trained on.";
    this.element = htmlNode("figure", { class: "draw-form" }, this.canvas, htmlNode("figcaption", {}, caption));
  }

  show(pixels) {
    const shown = pixels ?? new Uint8Array(784);
    paintDigit(this.canvas, shown);
    const lit = shown.reduce((count, value) => count + (value > 0 ? 1 : 0), 0);
    this.canvas.setAttribute("aria-label", `28 by 28 pixels, ${lit} of 784 with ink`);
  }
}

/** What the network answers: a bar for each class. */
class ShareBars {
  #names = [];
  #rows = [];

  constructor() {
    this.answer = htmlNode("p", { class: "draw-answer" });
    this.said = htmlNode("p", { class: "visually-hidden", role: "status" });
    this.body = htmlNode("tbody");
    const caption = htmlNode("caption", { class: "visually-hidden" }, "How probable the network finds each class");
    const table = htmlNode("table", { class: "draw-bars" }, caption, this.body);
    this.element = htmlNode("div", {}, htmlNode("h2", {}, "The network reads"), this.answer, table, this.said);
    this.show(null);
  }

  setClasses(names) {
    if (String(names) === String(this.#names)) return;
    this.#names = names;
    this.#rows = names.map((name) => {
      const bar = htmlNode("span", { class: "draw-bar" });
      const share = htmlNode("td", {}, "–");
      const row = htmlNode("tr", {}, htmlNode("th", { scope: "row" }, name), htmlNode("td", {}, bar), share);
      return { bar, share, row };
    });
    this.body.replaceChildren(...this.#rows.map(({ row }) => row));
  }

  show(answer) {
    const shares = answer?.output;
    const best = shares ? bestOf(shares) : -1;
    this.#rows.forEach(({ bar, share, row }, i) => {
      bar.style.width = shares ? `${(100 * shares[i]).toFixed(2)}%` : "0";
      share.textContent = shares ? formatShare(shares[i]) : "–";
      row.classList.toggle("draw-best", i === best);
    });
    this.answer.textContent = this.#sentence(shares, best);
  }

  /** Says the answer to who can not see it; not while a stroke is drawn. */
  announce() {
    this.said.textContent = this.answer.textContent;
  }

  #sentence(shares, best) {
    if (!shares) return "Nothing yet: the answer changes while you draw.";
    if (best < 0) return "No number: the weights of this racer are no longer finite, since its training diverged.";
    return `${this.#names[best]}, with ${formatShare(shares[best])}`;
  }
}
