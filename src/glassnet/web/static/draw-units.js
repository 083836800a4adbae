// The answers of all units as cells, and one unit in full: its weights, and how its answer comes about.

import { CELL, columnsFor, htmlNode, stagesOf, tableOf } from "./draw-parts.js";
import { SIDE } from "./ink.js";
import {
  describeNumbers, formatNumber, largestSize, paintCells, paintSigned, subscript, weightsOfUnit,
} from "./pictures.js";

const TERMS = 6; // how many of a sum's terms are written out

/** The answers of all units, layer by layer, as cells that can be chosen. */
export class UnitStrips {
  #strips = [];
  #shape = "";
  #onchoose;

  constructor(onchoose) {
    this.#onchoose = onchoose;
    this.list = htmlNode("div");
    const note = "Every cell is a unit, white at 0, orange above, blue below. Click one, or move with the arrow keys.";
    this.element = htmlNode(
      "section",
      { class: "draw-strips", "aria-labelledby": "draw-strips-head" },
      htmlNode("h2", { id: "draw-strips-head" }, "Inside, layer by layer"),
      htmlNode("p", { class: "draw-note" }, note),
      this.list,
    );
  }

  setModel(model) {
    const stages = stagesOf(model);
    const shape = JSON.stringify(stages);
    if (shape === this.#shape) return;
    this.#shape = shape;
    this.#strips = stages.map((stage, i) => new UnitStrip(stage, (unit) => this.#onchoose({ stage: i, unit })));
    this.list.replaceChildren(...this.#strips.map((strip) => strip.element));
  }

  show(answer, place) {
    this.#strips.forEach((strip, i) => strip.show(answer, i === place.stage ? place.unit : -1));
  }
}

/** One layer's cells; to assistive technology a slider over its units. */
class UnitStrip {
  #stage;
  #onchoose;
  #columns = 1;
  #unit = 0; // where the arrow keys stand

  constructor(stage, onchoose) {
    this.#stage = stage;
    this.#onchoose = onchoose;
    this.canvas = htmlNode("canvas", { role: "img" });
    this.note = htmlNode("span", { class: "draw-note" });
    const slider = { role: "slider", tabindex: "0", "aria-label": `Unit of ${stage.name}`, "aria-valuemin": "0" };
    const events = {
      pointerdown: (event) => this.#point(event),
      pointermove: (event) => event.buttons === 1 && this.#point(event),
      keydown: (event) => this.#press(event),
    };
    const last = String(stage.units - 1);
    this.slider = htmlNode("div", { class: "draw-cells", "aria-valuemax": last, ...slider, ...events }, this.canvas);
    const name = htmlNode("p", { class: "draw-strip-name" }, htmlNode("strong", {}, stage.name), " ", this.note);
    this.element = htmlNode("div", { class: "draw-strip" }, name, this.slider);
  }

  show(answer, chosen) {
    const values = answer ? answer.layers[this.#stage.last].output : new Float64Array(this.#stage.units);
    if (chosen >= 0) this.#unit = chosen;
    this.#columns = columnsFor(this.slider.clientWidth, values.length);
    paintCells(this.canvas, values, { columns: this.#columns, size: CELL, chosen });
    this.#describe(values, Boolean(answer));
  }

  #describe(values, isAnswer) {
    const above = values.reduce((count, value) => count + (value > 0 ? 1 : 0), 0);
    const most = formatNumber(largestSize(values));
    const counts = isAnswer ? `: ${above} above 0, the largest ${most}` : "";
    this.note.textContent = `${values.length} units${counts}`;
    this.canvas.setAttribute("aria-label", `${this.#stage.name}: ${isAnswer ? describeNumbers(values) : "no digit"}`);
    this.slider.setAttribute("aria-valuenow", String(this.#unit));
    const value = isAnswer ? `, ${formatNumber(values[this.#unit])}` : "";
    this.slider.setAttribute("aria-valuetext", `unit ${this.#unit}${value}`);
  }

  #point(event) {
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / CELL);
    const unit = Math.floor((event.clientY - box.top) / CELL) * this.#columns + column;
    if (column >= 0 && column < this.#columns && unit >= 0 && unit < this.#stage.units) this.#onchoose(unit);
  }

  #press(event) {
    const last = this.#stage.units - 1;
    const goal = {
      ArrowLeft: this.#unit - 1,
      ArrowRight: this.#unit + 1,
      ArrowUp: this.#unit - this.#columns,
      ArrowDown: this.#unit + this.#columns,
      Home: 0,
      End: last,
    }[event.key];
    if (goal === undefined) return;
    event.preventDefault();
    this.#onchoose(Math.min(Math.max(goal, 0), last));
  }
}

/** One unit: what it looks for, and how its answer comes about. */
export class UnitView {
  place = { stage: 0, unit: 0 };
  #model = null;
  #stages = [];
  #onchoose;

  constructor(onchoose) {
    this.#onchoose = onchoose;
    const choose = () => onchoose({ stage: Number(this.layer.value), unit: Number(this.number.value) });
    this.layer = htmlNode("select", { change: choose });
    this.number = htmlNode("input", { type: "number", min: "0", step: "1", inputmode: "numeric", input: choose });
    this.weights = new SignedFigure("Its weights");
    this.products = new SignedFigure("Weight × input, the terms of its sum");
    const region = { class: "draw-sum", role: "group", tabindex: "0" }; // may have to be scrolled, also by keyboard
    this.sum = htmlNode("div", { ...region, "aria-label": "How its answer comes about" });
    this.element = htmlNode(
      "section",
      { class: "draw-unit", "aria-labelledby": "draw-unit-head" },
      htmlNode("h2", { id: "draw-unit-head" }, "One unit"),
      htmlNode(
        "div",
        { class: "draw-fields" },
        htmlNode("label", {}, "Layer ", this.layer),
        htmlNode("label", {}, "Unit ", this.number),
      ),
      htmlNode("div", { class: "draw-figures" }, this.weights.element, this.products.element),
      this.sum,
    );
  }

  setModel(model) {
    this.#model = model;
    const stages = stagesOf(model);
    if (JSON.stringify(stages) === JSON.stringify(this.#stages)) return;
    this.#stages = stages;
    this.layer.replaceChildren(...stages.map(({ name }, i) => htmlNode("option", { value: String(i) }, name)));
  }

  show(answer) {
    if (!this.#stages.length) return;
    const { stage, unit } = this.#fit();
    const { dense, last } = this.#stages[stage];
    const layer = this.#model.layers[dense];
    const weights = weightsOfUnit(layer, unit);
    const isPicture = stage === 0 && layer.inputs === 784;
    this.weights.show(weights, isPicture);
    const products = answer && answer.layers[dense].input.map((value, i) => value * weights[i]);
    this.products.show(products, isPicture);
    const note = htmlNode("p", { class: "draw-note" }, "Its sum appears with the first stroke.");
    this.sum.replaceChildren(answer ? this.#table(answer, weights, products) : note);
  }

  /** Brings the place into the network that is shown, and the fields with it. */
  #fit() {
    const stage = Math.min(this.place.stage, this.#stages.length - 1);
    const most = this.#stages[stage].units - 1;
    const unit = Math.min(Math.max(Math.trunc(this.place.unit), 0), most);
    this.place = { stage, unit };
    this.layer.value = String(stage);
    this.number.max = String(most);
    if (document.activeElement !== this.number || this.number.value !== "") this.number.value = String(unit);
    return this.place;
  }

  /** The largest terms of the sum, all others together, the bias, the sum z, and what is made of it. */
  #table(answer, weights, products) {
    const { stage, unit } = this.place;
    const { dense, last } = this.#stages[stage];
    const { input, output: z, b } = answer.layers[dense];
    const nameOf = this.#namesOfInputs(stage);
    const order = Array.from(products.keys()).sort((i, j) => Math.abs(products[j]) - Math.abs(products[i]));
    const largest = order.slice(0, TERMS);
    const rest = z[unit] - b[unit] - largest.reduce((sum, i) => sum + products[i], 0);
    const index = `${subscript(stage + 1)}[${unit}]`;
    const line = (name, number) => [name, "", "", formatNumber(number, 4)];
    const factors = (i) => [input[i], weights[i], products[i]].map((number) => formatNumber(number, 4));
    const terms = largest.map((i) => [nameOf(i), ...factors(i)]);
    if (order.length > TERMS) terms.push(line(`the other ${order.length - TERMS} inputs`, rest));
    terms.push(line(`bias b${index}`, b[unit]));
    const after = answer.layers.slice(dense + 1, last + 1);
    const results = after.map(({ type, output }) => line(`y${index} = ${type}(z)`, output[unit]));
    const rows = [...terms, line(`sum z${index}`, z[unit]), ...results];
    const table = tableOf(["input", "value", "weight", "product"], rows, "How its answer comes about");
    table.tBodies[0].rows[terms.length].className = "draw-total";
    return table;
  }

  #namesOfInputs(stage) {
    if (stage > 0) return (i) => `y${subscript(stage)}[${i}]`;
    return (i) => `x[${i}], pixel (${Math.floor(i / SIDE)}, ${i % SIDE})`;
  }
}

/** Signed numbers as a picture of the input, or as cells where the inputs are units; with the scale below. */
class SignedFigure {
  constructor(title) {
    this.title = title;
    this.canvas = htmlNode("canvas", { role: "img" });
    this.caption = htmlNode("figcaption");
    this.element = htmlNode("figure", {}, this.canvas, this.caption);
  }

  show(values, isPicture) {
    this.element.hidden = !values;
    if (!values) return;
    this.canvas.className = isPicture ? "draw-picture" : "draw-weights";
    this.canvas.removeAttribute("style");
    if (isPicture) paintSigned(this.canvas, values, SIDE);
    else paintCells(this.canvas, values, { columns: columnsFor(this.element.clientWidth, values.length), size: CELL });
    this.canvas.setAttribute("aria-label", `${this.title}: ${describeNumbers(values)}`);
    this.caption.textContent = `${this.title}; the strongest colour is ±${formatNumber(largestSize(values))}.`;
  }
}
