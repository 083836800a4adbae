// What the server told of a training step: its arrays, and what they are called.

import { floatsFromBase64 } from "./api.js";
import { indexOfMost, SIDE, strided } from "./step-numbers.js";
import { subscript } from "./pictures.js";

const NAMES = [
  ["input", /^x$/],
  ["weights", /^(?<letter>W)(?<layer>\d+)$/],
  ["biases", /^(?<letter>b)(?<layer>\d+)$/],
  ["sums", /^z(?<layer>\d+)$/],
  ["answers", /^y(?<layer>\d+)$/],
  ["output", /^o$/],
  ["target", /^t$/],
  ["loss", /^L$/],
  ["weightGradient", /^d(?<letter>W)(?<layer>\d+)$/],
  ["biasGradient", /^d(?<letter>b)(?<layer>\d+)$/],
  ["passed", /^dy(?<layer>\d+)$/],
  ["slope", /^slope_z(?<layer>\d+)$/],
  ["error", /^dz(?<layer>\d+)$/],
  ["update", /^(?<letter>[Wb])(?<layer>\d+)_new$/],
  ["moment", /^(?<moment>.+)_(?<letter>[Wb])(?<layer>\d+)$/],
];

/** One array of the step; its numbers are decoded when they are first asked for. */
class Entry {
  constructor(told) {
    const { name, part, symbol, equations, letters, shape, sources, calls } = told;
    Object.assign(this, { name, part, symbol, equations, letters, shape, sources, calls, told });
    const [kind, pattern] = NAMES.find(([, one]) => one.test(name)) ?? ["other", /^/];
    const { layer, letter, moment } = pattern.exec(name).groups ?? {};
    Object.assign(this, { kind, letter, moment, k: layer ? Number(layer) : null });
    this.isMatrix = letter === "W";
    this.columns = this.isMatrix ? shape[1] : shape.reduce((a, b) => a * b, 1);
    this.rows = this.isMatrix ? shape[0] : 1;
  }

  get value() {
    this.decoded ??= floatsFromBase64(this.told.value);
    return this.decoded;
  }

  get before() {
    if (this.told.before === null) return null;
    this.decodedBefore ??= floatsFromBase64(this.told.before);
    return this.decodedBefore;
  }

  /** The parameters that it belongs to, such as "W₁". */
  get parameter() {
    return `${this.letter}${subscript(this.k)}`;
  }

  /** Returns the number at a place {i, j}; i counts for matrices only. */
  at({ i, j }, numbers = this.value) {
    return numbers[this.isMatrix ? i * this.columns + j : j];
  }

  /** Returns what a grid shows: of a matrix all numbers of one unit. */
  shown(unit, version) {
    const column = (numbers) => (this.isMatrix ? strided(numbers, unit, this.columns) : numbers);
    if (!this.before || version === "after") return column(this.value);
    const before = column(this.before);
    return version === "before" ? before : column(this.value).map((after, i) => after - before[i]);
  }
}

/** All arrays of a step on one picture. */
export class Trace {
  constructor(answer, pixels, target) {
    const { t, learning_rate: rate, loss, optimizer, entries } = answer;
    Object.assign(this, { t, rate, loss, optimizer, pixels, target });
    this.entries = entries.map((told) => new Entry(told));
    this.byName = new Map(this.entries.map((entry) => [entry.name, entry]));
    this.depth = this.entries.filter((entry) => entry.kind === "weights").length;
  }

  get(name) {
    return this.byName.get(name);
  }

  /** Returns whether another trace is of a network of the same form, on the same picture. */
  isLike(other) {
    const form = ({ entries, pixels }) => JSON.stringify([entries.map(({ name, shape }) => [name, shape]), ...pixels]);
    return Boolean(other) && form(this) === form(other);
  }

  /** Returns the numbers of an array. */
  of(name) {
    return this.get(name).value;
  }

  /** Returns what comes into a layer. */
  into(k) {
    return this.get(k === 1 ? "x" : `y${k - 1}`);
  }

  /** Returns δ of a layer, what its sums are to blame for; an identity passes on what comes back to it. */
  delta(k) {
    return this.get(`dz${k}`) ?? this.get(`dy${k}`);
  }

  moments(entry) {
    const isOf = ({ kind, letter, k }) => kind === "moment" && letter === entry.letter && k === entry.k;
    return this.entries.filter(isOf);
  }

  /** Returns the place of the weight of a layer that has the largest gradient. */
  mostToBlame(k) {
    const { value, columns } = this.get(`dW${k}`);
    const most = indexOfMost(value, Math.abs);
    return { i: Math.floor(most / columns), j: most % columns };
  }

  layerName(k) {
    return k === this.depth ? "the output layer" : `hidden layer ${k}`;
  }

  unitName(k, j) {
    return k === this.depth ? `the score of ${j}` : `neuron ${j} of hidden layer ${k}`;
  }

  /** Returns what a number that comes into a layer is called; those of the picture by row and column. */
  inputName(k, i) {
    return k === 1 ? `x[${Math.floor(i / SIDE)},${i % SIDE}]` : `y${subscript(k - 1)}[${i}]`;
  }

  /** Returns what the number of an entry at a place is called. */
  nameOf(entry, { i, j }) {
    if (entry.kind === "input") return this.inputName(1, j);
    if (entry.kind === "loss") return entry.symbol.text;
    const index = entry.isMatrix ? `[${i},${j}]` : `[${j}]`;
    if (entry.kind === "moment") return `${entry.symbol.text} of ${entry.parameter}${index}`;
    return `${entry.symbol.text}${index}`;
  }
}
