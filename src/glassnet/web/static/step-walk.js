// The walk through a step: one array after the other, with its equation, its numbers in cells, and its code.

import { make, setText } from "./charts.js";
import { largestSize, signedColour } from "./pictures.js";
import { number, SIDE } from "./step-numbers.js";
import { codeOf, describeShown, indexProblem, linesTable, mark, setSelected, typeset, wideCell } from "./step-parts.js";
import { KINDS } from "./step-working.js";

const FEW = 10; // numbers that are written into their cells

const PARTS = {
  input: "What comes in",
  forward: "Forward",
  loss: "How wrong it is",
  backward: "Backward",
  update: "The update",
};

const VERSIONS = { change: "change", after: "after", before: "before" };

/** The walk through the entries, one at a time. */
export class Walk {
  constructor(root, follow) {
    this.followWeight = follow;
    this.find(root);
    this.cells = new Cells(root.querySelector(".step-cells"), {
      choose: (index) => this.choose(index),
      preview: (index) => this.showDetail(this.placeOf(index ?? this.index())),
    });
    this.version = "change";
    this.places = {}; // for each layer the input i and the unit j that are looked at
    for (const [value, text] of Object.entries(VERSIONS)) this.versions.append(this.versionChoice(value, text));
    this.back.addEventListener("click", () => this.move(-1));
    this.next.addEventListener("click", () => this.move(1));
    for (const input of [this.unit, this.unitSlider]) {
      input.addEventListener("input", () => this.chooseUnit(input.value));
    }
    this.list.addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (button) this.go(Number(button.dataset.entry), button.closest(".step-chips") !== null);
    });
  }

  find(root) {
    const one = (selector) => root.querySelector(selector);
    [this.list, this.bar] = [one(".step-progress ol"), one(".step-bar")];
    [this.back, this.next, this.count] = [one(".step-back"), one(".step-next"), one(".step-count")];
    [this.title, this.words, this.equations] = [one("#step-title"), one(".step-words"), one(".step-equations")];
    [this.shape, this.scale, this.detail] = [one(".step-shape"), one(".step-scale"), one(".step-detail")];
    [this.code, this.units, this.versions] = [one(".step-code"), one(".step-unit"), one(".step-version")];
    [this.unit, this.unitSlider] = [one("#step-unit"), one(".step-unit [type=range]")];
    this.unitWrong = one("#step-unit-wrong");
  }

  versionChoice(value, text) {
    const label = make("label");
    const radio = make("input");
    Object.assign(radio, { type: "radio", name: "step-version", value, checked: value === this.version });
    radio.addEventListener("change", () => {
      this.version = value;
      this.showNumbers();
    });
    label.append(radio, ` ${text}`);
    return label;
  }

  /** Shows a trace, at the entry that was shown before where it has one of that name. */
  open(trace) {
    const name = this.entry?.name;
    const isLike = trace.isLike(this.trace);
    this.trace = trace;
    this.at = Math.max(0, trace.entries.findIndex((entry) => entry.name === name));
    for (let k = 1; k <= trace.depth && !isLike; k++) this.places[k] = trace.mostToBlame(k);
    this.list.replaceChildren(...Object.keys(PARTS).map((part) => this.partItem(part)));
    this.bar.max = trace.entries.length;
    this.show();
  }

  get entry() {
    return this.trace?.entries[this.at];
  }

  partItem(part) {
    const item = make("li", "step-part");
    const first = this.trace.entries.findIndex((entry) => entry.part === part);
    const head = make("button", "step-part-name", PARTS[part]);
    const chips = make("div", "step-chips");
    head.type = "button";
    head.dataset.entry = first;
    item.dataset.part = part;
    item.hidden = first < 0;
    this.trace.entries.forEach((entry, i) => {
      if (entry.part === part) chips.append(this.chip(entry, i));
    });
    item.append(head, chips);
    return item;
  }

  chip(entry, index) {
    const text = entry.kind === "moment" ? `${entry.symbol.text} of ${entry.parameter}` : entry.symbol.text;
    const chip = make("button", "step-chip", text);
    chip.type = "button";
    chip.dataset.entry = index;
    chip.setAttribute("aria-label", this.titleOf(entry));
    return chip;
  }

  titleOf(entry) {
    return `${entry.symbol.text}: ${KINDS[entry.kind].title(this.trace, entry)}`;
  }

  move(step, fromChip = false) {
    this.go(this.at + step, fromChip);
  }

  go(index, focus = false) {
    if (index < 0 || index >= this.trace.entries.length) return;
    this.at = index;
    this.show();
    if (focus) this.list.querySelector(".step-chip[aria-current]").focus();
  }

  show() {
    const { entry, trace } = this;
    const { length } = trace.entries;
    this.showProgress();
    this.setEnds(length);
    setText(this.count, `${this.at + 1} of ${length}`);
    setText(this.title, this.titleOf(entry));
    setText(this.words, KINDS[entry.kind].words(trace, entry));
    this.equations.replaceChildren(...entry.equations.map(typeset));
    this.units.hidden = !entry.isMatrix;
    this.versions.hidden = !entry.before;
    this.showNumbers();
    this.code.replaceChildren(...codeOf(entry));
  }

  /** Takes the buttons away that lead nowhere, without losing the keyboard's place. */
  setEnds(length) {
    const active = document.activeElement;
    this.back.disabled = this.at === 0;
    this.next.disabled = this.at === length - 1;
    if (active === this.back && this.back.disabled) this.next.focus();
    if (active === this.next && this.next.disabled) this.back.focus();
  }

  showProgress() {
    this.bar.value = this.at + 1;
    const order = Object.keys(PARTS);
    const here = order.indexOf(this.entry.part);
    for (const item of this.list.children) {
      const isHere = item.dataset.part === this.entry.part;
      item.classList.toggle("step-done", order.indexOf(item.dataset.part) < here);
      mark(item.querySelector(".step-part-name"), "step", isHere);
      item.querySelector(".step-chips").hidden = !isHere;
    }
    for (const chip of this.list.querySelectorAll(".step-chip")) {
      const isHere = Number(chip.dataset.entry) === this.at;
      mark(chip, "true", isHere);
      chip.tabIndex = isHere ? 0 : -1;
    }
  }

  /** The layer whose chosen unit an entry shows: what belongs to none is of the first or the last one. */
  layerOf({ kind, k }) {
    return k ?? (kind === "input" ? 1 : this.trace.depth);
  }

  /** Returns which cell of the grid is chosen. */
  index() {
    const { entry } = this;
    const { i, j } = this.places[this.layerOf(entry)];
    if (entry.kind === "loss" || entry.kind === "other") return 0;
    return entry.isMatrix || entry.kind === "input" ? i : j;
  }

  /** Returns the place {i, j} of a cell of the grid. */
  placeOf(index) {
    const { j } = this.places[this.layerOf(this.entry)];
    return this.entry.isMatrix ? { i: index, j } : { j: index };
  }

  choose(index) {
    const place = this.places[this.layerOf(this.entry)];
    if (this.entry.isMatrix || this.entry.kind === "input") place.i = index;
    else if (this.entry.kind !== "loss" && this.entry.kind !== "other") place.j = index;
    this.showDetail(this.placeOf(index));
  }

  chooseUnit(text) {
    const problem = indexProblem("The unit", text, this.entry.columns);
    this.unit.setAttribute("aria-invalid", String(problem !== ""));
    setText(this.unitWrong, problem);
    if (problem) return;
    this.places[this.entry.k].j = Number(text);
    this.showNumbers();
  }

  showNumbers() {
    const { entry, trace } = this;
    const unit = this.places[this.layerOf(entry)].j;
    const numbers = entry.shown(unit, this.version);
    if (entry.isMatrix) this.showUnit(unit);
    const kept = entry.letters ? ` (${entry.letters}) = (${entry.shape.join(", ")})` : "";
    setText(this.shape, `Shape${kept}. ${describeShown(entry, trace, unit, numbers)}`);
    const limit = largestSize(numbers);
    this.cells.show(numbers, {
      label: this.titleOf(entry),
      nameOf: (index) => this.cellName(index),
      shortNameOf: (index) => (entry.kind === "loss" ? "L" : String(index)),
      limit,
      chosen: this.index(),
    });
    const colours = `White is 0, orange above, blue below; full colour at ±${number(limit)}.`;
    setText(this.scale, limit ? colours : "All are 0.");
    this.showDetail(this.placeOf(this.index()));
  }

  showUnit(unit) {
    this.unit.max = this.unitSlider.max = this.entry.columns - 1;
    if (this.unit.value !== String(unit)) this.unit.value = unit;
    this.unitSlider.value = unit;
    this.unit.setAttribute("aria-invalid", "false");
    setText(this.unitWrong, "");
  }

  cellName(index) {
    const name = this.trace.nameOf(this.entry, this.placeOf(index));
    return this.entry.before ? `${name}, ${VERSIONS[this.version]}` : name;
  }

  /** Shows how the number at a place came about. */
  showDetail(place) {
    const { entry, trace } = this;
    const where = entry.isMatrix && entry.k === 1 ? `, from the pixel ${trace.inputName(1, place.i).slice(1)}` : "";
    const parts = [
      make("h4", "", `${trace.nameOf(entry, place)}${where}`),
      linesTable(KINDS[entry.kind].lines(trace, entry, place)),
    ];
    if (entry.isMatrix) {
      const button = make("button", "step-follow-this", "Follow this weight");
      button.type = "button";
      button.addEventListener("click", () => this.followWeight(entry.k, place));
      parts.push(button);
    }
    this.detail.replaceChildren(...parts);
  }
}

/** Numbers as coloured cells: one stop of the Tab key, in which the arrow keys walk. */
class Cells {
  constructor(element, { choose, preview }) {
    this.element = element;
    this.chooseCell = choose;
    element.addEventListener("focusin", ({ target }) => this.choose(this.indexOf(target)));
    element.addEventListener("pointerover", ({ target }) => this.cellOf(target) && preview(this.indexOf(target)));
    element.addEventListener("pointerleave", () => preview(null));
    element.addEventListener("keydown", (event) => this.press(event));
  }

  show(numbers, { label, nameOf, shortNameOf, limit, chosen }) {
    const isPicture = numbers.length === SIDE * SIDE;
    const isWide = numbers.length <= FEW;
    this.element.setAttribute("aria-label", `${label}, ${numbers.length} numbers`);
    this.element.classList.toggle("step-picture", isPicture);
    this.element.classList.toggle("step-wide", isWide);
    if (this.element.childElementCount !== numbers.length) this.build(numbers.length);
    numbers.forEach((value, i) => {
      const cell = this.element.children[i];
      cell.setAttribute("aria-label", `${nameOf(i)}: ${number(value)}`);
      cell.style.backgroundColor = isWide ? "" : `rgb(${signedColour(value / (limit || 1)).join()})`;
      if (isWide) cell.replaceChildren(...wideCell(shortNameOf(i), value, limit));
    });
    this.mark(chosen);
  }

  build(count) {
    const cells = Array.from({ length: count }, () => make("div", "step-cell"));
    for (const cell of cells) {
      cell.setAttribute("role", "option");
      cell.setAttribute("aria-selected", "false");
      cell.tabIndex = -1;
    }
    this.marked = null;
    this.element.replaceChildren(...cells);
  }

  cellOf(target) {
    return target.closest(".step-cell");
  }

  indexOf(target) {
    return [...this.element.children].indexOf(this.cellOf(target));
  }

  choose(index) {
    this.mark(index);
    this.chooseCell(index);
  }

  /** Makes one cell the chosen one, which the Tab key comes to. */
  mark(index) {
    const cell = this.element.children[index];
    if (cell === this.marked) return;
    if (this.marked) setSelected(this.marked, false);
    setSelected(cell, true);
    this.marked = cell;
  }

  press(event) {
    const columns = getComputedStyle(this.element).gridTemplateColumns.split(" ").length;
    const [here, last] = [this.indexOf(event.target), this.element.childElementCount - 1];
    const goal = {
      ArrowLeft: here - 1,
      ArrowRight: here + 1,
      ArrowUp: here - columns,
      ArrowDown: here + columns,
      Home: 0,
      End: last,
    }[event.key];
    if (goal === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (goal < 0 || goal > last) return;
    this.element.children[goal].focus();
  }
}
