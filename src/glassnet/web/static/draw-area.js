// Where the digit is drawn: with pointers, or by keyboard with a pen that arrow keys move.

import { htmlNode } from "./draw-parts.js";
import { drawLine, toMnistForm } from "./ink.js";
import { sharpContext } from "./pictures.js";

const AREA = 280; // side of the drawing, in its own units
const PEN = 11; // half the width of the pen
const [STRIDE, SMALL_STRIDE] = [8, 2]; // how far an arrow key moves the pen, and with Shift

/** Where the digit is drawn: with pointers, or by keyboard with a pen that arrow keys move. */
export class DrawingArea {
  #strokes = [];
  #grey = new Uint8Array(AREA * AREA);
  #pen = { x: AREA / 2, y: AREA / 2 };
  #pointer = null; // id of the pointer that draws
  #keyDown = false; // whether the keyboard's pen is on the paper
  #keyboard = false; // whether the pen is shown
  #onmove;
  #onrest;

  constructor({ onmove, onrest }) {
    this.#onmove = onmove;
    this.#onrest = onrest;
    this.canvas = htmlNode("canvas", { role: "img" });
    this.hint = htmlNode("span", { class: "draw-hint", "aria-hidden": "true" }, "Draw a digit here");
    this.paper = this.#makePaper();
    const undo = htmlNode("button", { type: "button", click: () => this.undo() }, "Undo");
    const clear = htmlNode("button", { type: "button", click: () => this.clear() }, "Clear");
    this.said = htmlNode("p", { class: "visually-hidden", role: "status" });
    const keys = "By keyboard: arrow keys move a pen (with Shift in small steps), Space puts it down and lifts it.";
    this.element = htmlNode(
      "section",
      { class: "draw-paper", "aria-label": "Drawing" },
      this.paper,
      htmlNode("div", { class: "draw-buttons" }, undo, clear),
      htmlNode("p", { class: "draw-note", id: "draw-keys" }, `${keys} U takes a stroke back, C clears.`),
      this.said,
    );
    this.paint();
  }

  /** Returns the digit in the form of MNIST, or null. */
  form() {
    return toMnistForm(this.#grey, AREA, AREA);
  }

  undo() {
    if (this.#strokes.pop()) this.#redraw();
  }

  clear() {
    this.#strokes = [];
    this.#redraw();
  }

  /** Forgets the drawing without a word to anybody. */
  empty() {
    this.#strokes = [];
    this.#grey.fill(0);
    this.#keyDown = false;
    this.#pointer = null;
    this.paint();
  }

  /** Ends the stroke of the keyboard's pen. */
  lift() {
    if (!this.#keyDown) return;
    this.#keyDown = false;
    this.paint();
    this.#onrest();
  }

  paint() {
    const side = this.paper.clientWidth || AREA;
    const context = sharpContext(this.canvas, side, side);
    context.scale(side / AREA, side / AREA);
    const style = getComputedStyle(this.canvas);
    Object.assign(context, { strokeStyle: style.color, lineWidth: 2 * PEN, lineCap: "round", lineJoin: "round" });
    for (const stroke of this.#strokes) paintStroke(context, stroke);
    if (this.#keyboard) this.#paintPen(context, style);
    this.#describe();
  }

  #makePaper() {
    const events = {
      pointerdown: (event) => this.#begin(event),
      pointermove: (event) => this.#move(event),
      pointerup: (event) => this.#end(event),
      pointercancel: (event) => this.#end(event),
      keydown: (event) => this.#press(event),
      blur: () => this.#leave(),
    };
    const names = { class: "draw-area", role: "application", tabindex: "0", "aria-describedby": "draw-keys" };
    return htmlNode("div", { ...names, ...events }, this.canvas, this.hint);
  }

  #begin(event) {
    if (this.#pointer !== null || event.button !== 0) return;
    this.lift();
    this.#pointer = event.pointerId;
    this.#keyboard = false;
    this.paper.setPointerCapture(event.pointerId);
    this.#strokes.push([]);
    this.#extend(this.#placeOf(event));
  }

  #move(event) {
    if (event.pointerId !== this.#pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) this.#extend(this.#placeOf(one));
  }

  #end(event) {
    if (event.pointerId !== this.#pointer) return;
    this.#pointer = null;
    this.#onrest();
  }

  #press(event) {
    const held = event.shiftKey ? SMALL_STRIDE : STRIDE;
    const ways = { ArrowLeft: [-held, 0], ArrowRight: [held, 0], ArrowUp: [0, -held], ArrowDown: [0, held] };
    const key = event.key.toLowerCase();
    const isUndo = key === "u" || ((event.ctrlKey || event.metaKey) && key === "z");
    const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (isUndo) this.undo();
    else if (isPlain && event.key in ways) this.#walk(...ways[event.key]);
    else if (isPlain && (key === " " || key === "enter")) this.#toggle();
    else if (isPlain && key === "c") this.clear();
    else return;
    event.preventDefault();
  }

  #walk(dx, dy) {
    this.#keyboard = true;
    this.#pen = { x: within(this.#pen.x + dx), y: within(this.#pen.y + dy) };
    if (this.#keyDown) this.#extend(this.#pen);
    else this.paint();
  }

  #toggle() {
    this.#keyboard = true;
    if (this.#keyDown) {
      this.lift();
      return;
    }
    this.#keyDown = true;
    this.#strokes.push([]);
    this.#extend(this.#pen);
    this.said.textContent = `Pen down at ${this.#pen.x} across, ${this.#pen.y} down.`;
  }

  #leave() {
    this.lift();
    this.#keyboard = false;
    this.paint();
  }

  #placeOf(event) {
    const box = this.canvas.getBoundingClientRect();
    const share = (place, start, size) => within(Math.round((AREA * (place - start)) / size));
    return { x: share(event.clientX, box.left, box.width), y: share(event.clientY, box.top, box.height) };
  }

  #extend(point) {
    const stroke = this.#strokes.at(-1);
    drawLine(this.#grey, AREA, AREA, stroke.at(-1) ?? point, point, PEN);
    stroke.push(point);
    this.#pen = point;
    this.paint();
    this.#onmove();
  }

  #redraw() {
    this.#keyDown = false;
    this.#pointer = null;
    this.#grey.fill(0);
    for (const stroke of this.#strokes) {
      stroke.forEach((point, i) => drawLine(this.#grey, AREA, AREA, stroke[i - 1] ?? point, point, PEN));
    }
    this.paint();
    this.#onrest();
  }

  #paintPen(context, style) {
    const { x, y } = this.#pen;
    for (const [radius, colour, width] of [[PEN, style.outlineColor, 3], [2, style.outlineColor, 2]]) {
      Object.assign(context, { strokeStyle: colour, lineWidth: width });
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  #describe() {
    const count = this.#strokes.length;
    const { x, y } = this.#pen;
    this.canvas.setAttribute("aria-label", `The drawing: ${count} ${count === 1 ? "stroke" : "strokes"}`);
    this.paper.setAttribute("aria-label", `Drawing area, pen ${this.#keyDown ? "down" : "lifted"} at ${x}, ${y}`);
    this.hint.hidden = count > 0;
  }
}

function paintStroke(context, stroke) {
  context.beginPath();
  context.moveTo(stroke[0].x, stroke[0].y);
  for (const { x, y } of stroke) context.lineTo(x + 0.01, y); // a dot needs some length to be drawn
  context.stroke();
}

function within(place) {
  return Math.min(Math.max(place, 0), AREA);
}
