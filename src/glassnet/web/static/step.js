// The room Step: one training step on the digit on screen, opened. A walk through every array that it computes, with
// the numbers behind each number; and one weight followed from the picture to its update.

import { toBase64 } from "./api.js";
import { percent, setText } from "./charts.js";
import { forward } from "./net.js";
import { grouped, paintDigit } from "./pictures.js";
import { RacerChoice } from "./racer-choice.js";
import { Follow } from "./step-follow.js";
import { countNonzero, indexOfMost, number, randomOf, SIDE } from "./step-numbers.js";
import { Trace } from "./step-trace.js";
import { Walk } from "./step-walk.js";

const PAGE = `
<div class="step-head">
  <canvas class="step-digit" role="img" aria-label="No digit yet"></canvas>
  <div>
    <h2>One training step, opened</h2>
    <p class="step-about"></p>
    <div class="step-row">
      <label for="step-target">It should read</label>
      <select id="step-target"></select>
      <button type="button" class="step-open">Open the newest step</button>
      <button type="button" class="step-sample">Take a test image</button>
    </div>
    <p class="step-hint step-stale" role="status"></p>
  </div>
</div>
<div class="step-body" hidden>
  <nav class="step-progress" aria-label="Parts of the step">
    <progress class="step-bar" aria-label="How far through the step"></progress>
    <ol></ol>
  </nav>
  <article class="step-entry" aria-labelledby="step-title">
    <div class="step-row step-moves">
      <button type="button" class="step-back">Back</button>
      <button type="button" class="step-next primary">Next</button>
      <span class="step-hint step-count"></span>
    </div>
    <div aria-live="polite"><h3 id="step-title"></h3></div>
    <p class="step-words"></p>
    <div class="step-equations"></div>
    <p class="step-hint step-shape"></p>
    <div class="step-choices">
      <div class="step-unit">
        <label for="step-unit">Unit</label>
        <input type="number" id="step-unit" min="0" step="1" aria-describedby="step-unit-wrong">
        <input type="range" min="0" step="1" aria-label="Unit, on a slider">
        <p class="step-wrong" id="step-unit-wrong" aria-live="polite"></p>
      </div>
      <fieldset class="step-version"><legend>Numbers from</legend></fieldset>
    </div>
    <div class="step-cells" role="listbox" aria-orientation="horizontal"></div>
    <p class="step-hint step-scale"></p>
    <section class="step-detail" aria-label="How this number came about"></section>
    <div class="step-code"></div>
  </article>
  <section class="step-follow" aria-labelledby="step-follow-head">
    <h2 id="step-follow-head">Follow a weight</h2>
    <div class="step-row">
      <span class="step-field"><label for="step-layer">Layer</label><select id="step-layer"></select></span>
      <span class="step-field"><label for="step-i">from input i</label>
        <input type="number" id="step-i" min="0" step="1" aria-describedby="step-wrong"></span>
      <span class="step-field"><label for="step-j">to unit j</label>
        <input type="number" id="step-j" min="0" step="1" aria-describedby="step-wrong"></span>
      <button type="button" class="step-blamed">The weight most to blame</button>
    </div>
    <p class="step-wrong" id="step-wrong" aria-live="polite"></p>
    <div class="step-story"></div>
  </section>
</div>`;

/** Fills the room; see the rooms' common form in app.js. */
export function mountStep(root, context) {
  root.innerHTML = PAGE;
  const room = new Room(root, context);
  context.on("pixels", () => room.takePixels());
  context.on("chosen", () => room.takeChosen());
  return {
    show: () => room.setShown(true),
    hide: () => room.setShown(false),
    update: () => room.update(),
  };
}

/** What is opened, and where in it the reader is. */
class Room {
  constructor(root, context) {
    this.root = root;
    this.context = context;
    this.shown = false;
    this.trace = null;
    this.opening = 0; // counts what was asked for, so that only the last answer is shown
    this.waiting = false;
    this.find();
    this.which = new RacerChoice(context);
    this.about.before(this.which.element);
    this.walk = new Walk(root, (k, place) => this.follow.go(k, place));
    this.follow = new Follow(root);
    this.target.append(...context.facts.classes.map((name) => new Option(name)));
    this.open.addEventListener("click", () => this.openStep());
    this.target.addEventListener("change", () => {
      this.wantedFor = context.pixels();
      this.openStep();
    });
    this.sample.addEventListener("click", () => this.takeSample());
    document.addEventListener("keydown", (event) => this.press(event));
    this.tell();
  }

  find() {
    this.digit = this.root.querySelector(".step-digit");
    this.about = this.root.querySelector(".step-about");
    this.target = this.root.querySelector("#step-target");
    this.open = this.root.querySelector(".step-open");
    this.sample = this.root.querySelector(".step-sample");
    this.stale = this.root.querySelector(".step-stale");
    this.body = this.root.querySelector(".step-body");
  }

  setShown(shown) {
    this.shown = shown;
    if (shown && this.context.pixels() && this.key() !== this.openedKey) this.openStep();
  }

  update() {
    this.which.show();
    this.tell();
    if (this.waiting && this.shown && this.key()) this.openStep();
  }

  /** Another racer is looked at. */
  takeChosen() {
    this.which.show();
    this.tell();
    if (this.shown && this.context.pixels()) this.openStep();
  }

  /** Another digit is on screen: it should be read as the network reads it, unless somebody says otherwise. */
  takePixels() {
    this.wantedFor = null;
    if (!this.context.pixels()) this.close();
    this.tell();
    if (this.shown) this.openStep();
  }

  close() {
    this.opening += 1;
    this.trace = this.openedKey = null;
    this.body.hidden = true;
  }

  /** Returns what an opened step depends on, as a text; empty if there is no racer or no digit. */
  key() {
    const [chosen, pixels] = [this.context.chosen(), this.context.pixels()];
    const racer = this.context.state()?.racers[chosen];
    return racer && pixels ? JSON.stringify([chosen, racer.config, racer.step, racer.taught, toBase64(pixels)]) : "";
  }

  /** Says what is on screen, and whether the network has moved on since it was opened. */
  tell() {
    const pixels = this.context.pixels();
    const isStale = this.trace && this.key() !== this.openedKey;
    this.open.disabled = this.target.disabled = !pixels;
    setText(this.stale, isStale ? "The network or the digit has changed since this step was opened." : "");
    if (this.trace) return;
    const missing = "Draw a digit in the room Draw, or take a test image: then every number of its step is here.";
    setText(this.about, pixels ? `A training step of racer ${this.context.chosen() + 1} on this digit.` : missing);
    this.paint(pixels ?? new Uint8Array(SIDE * SIDE));
  }

  paint(pixels) {
    paintDigit(this.digit, pixels, SIDE);
    const ink = countNonzero(pixels);
    this.digit.setAttribute("aria-label", ink ? `The digit, 28 by 28 pixels, ${ink} with ink` : "No digit yet");
  }

  async openStep() {
    const [key, pixels, racer, turn] = [this.key(), this.context.pixels(), this.context.chosen(), ++this.opening];
    this.waiting = pixels !== null && !key; // for the race to be there
    if (!key) return;
    this.body.setAttribute("aria-busy", "true");
    try {
      const model = await this.context.net(racer);
      if (this.wantedFor !== pixels) this.want(indexOfMost(forward(model, pixels).output), pixels);
      const target = Number(this.target.value);
      const answer = await this.context.api.post("trace", { racer, pixels: toBase64(pixels), target });
      if (turn === this.opening) this.showTrace(new Trace(answer, pixels, target), model, key, racer);
    } catch (error) {
      this.context.say(error.message);
    }
    if (turn === this.opening) this.body.removeAttribute("aria-busy");
  }

  /** Sets what the network should read in a digit. */
  want(target, pixels) {
    this.target.value = target;
    this.wantedFor = pixels;
  }

  showTrace(trace, model, key, racer) {
    this.trace = trace;
    this.openedKey = key;
    this.body.hidden = false;
    this.paint(trace.pixels);
    const shares = trace.of("o");
    const best = indexOfMost(shares);
    const rate = Number(trace.rate.toPrecision(4));
    setText(this.about, `Step ${grouped(trace.t)} of racer ${racer + 1}, if it were on this digit alone: ` +
      `${trace.optimizer} with the learning rate ${rate}. The network's answer is ${best} ` +
      `(${percent(shares[best])}), its loss ${number(trace.loss)}. Looking changes nothing: the racer stays as it is.`);
    this.walk.open(trace);
    this.follow.open(trace, model);
    this.tell();
  }

  /** Takes one of the test images that are most like some digit in seven strokes. */
  async takeSample() {
    this.sample.disabled = true;
    try {
      const digit = Math.floor(10 * Math.random());
      const found = await this.context.nearest(sevenStrokes(digit, 0.35 * Math.random()));
      const fitting = found.filter(({ label }) => label === digit);
      const { pixels, label } = randomOf(fitting.length ? fitting : found);
      this.context.setPixels(pixels); // which begins to open the step; what is wanted is looked at a little later
      this.want(label, pixels);
    } catch (error) {
      this.context.say(error.message);
    }
    this.sample.disabled = false;
  }

  /** Arrow keys go back and on, but where they do something else. */
  press(event) {
    const { key, target } = event;
    const inside = target === document.body || this.root.contains(target);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (!step || !this.shown || !this.trace || !inside || event.defaultPrevented) return;
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (target.closest("input, select, [role=listbox], pre")) return;
    event.preventDefault();
    this.walk.move(step, target.closest(".step-chips") !== null);
  }
}

/** Returns a digit in the strokes of a pocket calculator, leaning to the right by so many columns a row. */
function sevenStrokes(digit, slant) {
  const pixels = new Uint8Array(SIDE * SIDE);
  const [top, middle, bottom, left, right] = [4, 13, 22, 9, 18];
  const strokes = {
    a: [top, left, top, right], b: [top, right, middle, right], c: [middle, right, bottom, right],
    d: [bottom, left, bottom, right], e: [middle, left, bottom, left], f: [top, left, middle, left],
    g: [middle, left, middle, right],
  };
  const lit = ["abcdef", "bc", "abdeg", "abcdg", "bcfg", "acdfg", "acdefg", "abc", "abcdefg", "abcdfg"][digit];
  for (const [fromRow, fromColumn, toRow, toColumn] of [...lit].map((name) => strokes[name])) {
    for (let row = fromRow; row <= toRow + 1; row++) {
      const lean = Math.round((middle - row) * slant);
      for (let column = fromColumn; column <= toColumn + 1; column++) pixels[row * SIDE + column + lean] = 255;
    }
  }
  return pixels;
}
