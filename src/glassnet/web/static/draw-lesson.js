// What only the server can do for a drawing: find the nearest test images, and teach.

import { htmlNode, tableOf } from "./draw-parts.js";
import { formatNumber, formatShare, grouped, paintDigit } from "./pictures.js";

/** The test images that are most like the drawing. */
export class NearestImages {
  #context;
  #asked = 0; // counts the questions, so that a late answer to an old one is passed over

  constructor(context) {
    this.#context = context;
    this.list = htmlNode("ol", { class: "draw-images" });
    this.note = htmlNode("p", { class: "draw-note" });
    this.element = htmlNode(
      "section",
      { class: "draw-nearest", "aria-labelledby": "draw-nearest-head" },
      htmlNode("h2", { id: "draw-nearest-head" }, "The nearest test images"),
      this.note,
      this.list,
    );
    this.element.hidden = !context.nearest;
    this.#show([]);
  }

  async find(pixels) {
    if (!this.#context.nearest) return;
    const question = ++this.#asked;
    try {
      const images = pixels ? await this.#context.nearest(pixels) : [];
      if (question === this.#asked) this.#show(images);
    } catch (error) {
      this.#context.say(error.message);
    }
  }

  #show(images) {
    this.note.textContent = images.length
      ? "By the distance between their pixels (0 to 1) and the drawing's; the network has never seen them in training."
      : "They appear when a stroke is done.";
    this.list.replaceChildren(...images.map((image) => htmlNode("li", {}, nearestFigure(image))));
  }
}

/** "This was a 4": one training step on the drawing, and what it changed. */
export class Lesson {
  #context;
  #pixels;
  #names = [];
  #busy = false;

  constructor(context, pixels) {
    this.#context = context;
    this.#pixels = pixels;
    this.choice = htmlNode("fieldset", { class: "draw-classes" });
    this.said = htmlNode("p", { role: "status" });
    this.shares = htmlNode("div");
    this.element = htmlNode(
      "section",
      { class: "draw-lesson", "aria-labelledby": "draw-lesson-head" },
      htmlNode("h2", { id: "draw-lesson-head" }, "Teach it"),
      htmlNode("p", { class: "draw-note" }, "One training step on this drawing alone, which the network keeps."),
      this.choice,
      htmlNode("button", { type: "button", class: "primary", click: () => this.#teach() }, "Teach it"),
      this.said,
      this.shares,
    );
    this.element.hidden = !context.teach;
  }

  setClasses(names) {
    if (String(names) === String(this.#names)) return;
    this.#names = names;
    const options = names.map((name, i) => {
      const radio = htmlNode("input", { type: "radio", name: "draw-target", value: String(i) });
      return htmlNode("label", {}, radio, htmlNode("span", {}, name));
    });
    this.choice.replaceChildren(htmlNode("legend", {}, "This was a"), ...options);
    this.forget();
  }

  /** Takes away what the last lesson changed: the drawing is another one. */
  forget() {
    this.said.textContent = "";
    this.shares.replaceChildren();
  }

  async #teach() {
    const { teach, chosen, say } = this.#context;
    const [pixels, target] = [this.#pixels(), this.#target()];
    if (this.#busy) return;
    this.forget();
    if (!pixels || target < 0) {
      this.said.textContent = pixels ? "Choose what this was." : "Draw a digit first.";
      return;
    }
    this.#busy = true;
    try {
      this.#show(target, await teach(chosen(), pixels, target));
    } catch (error) {
      say(error.message);
    } finally {
      this.#busy = false;
    }
  }

  #target() {
    return Number(this.choice.querySelector("input:checked")?.value ?? -1);
  }

  #show(target, { before, after, step }) {
    const change = `from ${formatShare(before[target])} to ${formatShare(after[target])}`;
    this.said.textContent = `Taught at step ${grouped(step)} that this is a ${this.#names[target]}: ${change}.`;
    const rows = this.#names.map((name, i) => [name, formatShare(before[i]), formatShare(after[i])]);
    const table = tableOf(["class", "before", "after"], rows, "What the network answers");
    table.tBodies[0].rows[target].className = "draw-best";
    this.shares.replaceChildren(table);
  }
}

function nearestFigure({ index, label, distance, pixels }) {
  const canvas = htmlNode("canvas", { role: "img", class: "draw-picture" });
  const far = formatNumber(distance);
  canvas.setAttribute("aria-label", `Test image ${index}, a ${label}, at distance ${far}`);
  paintDigit(canvas, pixels);
  return htmlNode("figure", {}, canvas, htmlNode("figcaption", {}, htmlNode("strong", {}, String(label)), ` ${far}`));
}
