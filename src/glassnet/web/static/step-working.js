// The working behind each number of a step: what kind of array it stands in, how it came about, and a proof of it.

import { percent } from "./charts.js";
import { forward } from "./net.js";
import { bracketed, countNonzero, filled, indexOfMost, number, signed } from "./step-numbers.js";
import { subscript } from "./pictures.js";

const TERMS = 6; // of a sum, that are shown one by one
const NUDGE = 1e-5;
const [AGREES, TINY] = [1e-3, 1e-6]; // relative and absolute difference up to which two slopes are the same

/**
 * For each kind: `title`, `words`, and `lines`, the working behind the number at a place, each {text, value, result?}.
 */
export const KINDS = {
  input: {
    title: () => "the picture comes in",
    words: (trace, { value }) =>
      `The picture comes in as ${value.length} numbers from 0 to 1. ${countNonzero(value)} of them are not 0.`,
    lines: (trace, entry, { j }) => {
      const raw = trace.pixels[j];
      const brightest = indexOfMost(trace.pixels);
      return [
        line("raw, the grey level of this pixel, 0 to 255", String(raw)),
        line("s, which makes 1 of 255", number(entry.value[brightest] / trace.pixels[brightest])),
        line(`${trace.inputName(1, j)} = s · ${raw}`, number(entry.value[j]), true),
      ];
    },
  },
  weights: {
    title: (trace, { k }) => `the weights of ${trace.layerName(k)}`,
    words: (trace, { k, rows, columns }) =>
      `${columns} units, and each has a weight of its own for each of the ${rows} numbers that come in. Here are ` +
      `those of one unit${k === 1 ? ", as a picture of what it looks for" : ""}.`,
    lines: (trace, entry, place) => {
      const [x, weight] = [trace.into(entry.k).value[place.i], entry.at(place)];
      return [
        line(`${trace.inputName(entry.k, place.i)}, which it is multiplied with`, number(x)),
        line(`their product, a term of z${subscript(entry.k)}[${place.j}]`, signed(x * weight)),
        line(trace.nameOf(entry, place), signed(weight), true),
      ];
    },
  },
  biases: {
    title: (trace, { k }) => `the biases of ${trace.layerName(k)}`,
    words: () => "Each unit has one more number, which is added to its sum whatever comes in.",
    lines: (trace, entry, { j }) => [
      line(`${trace.nameOf(entry, { j })}, of ${trace.unitName(entry.k, j)}`, signed(entry.value[j]), true),
    ],
  },
  sums: {
    title: (trace, { k }) => (k === trace.depth ? "the scores" : `the sums of ${trace.layerName(k)}`),
    words: () => "Each unit multiplies every number that comes in with a weight of its own, and adds everything up.",
    lines: (trace, entry, { j }) => {
      const { k } = entry;
      const [x, W] = [trace.into(k).value, trace.get(`W${k}`)];
      const name = (i) =>
        `${trace.inputName(k, i)} W${subscript(k)}[${i},${j}] = ${number(x[i])} · ${signed(W.at({ i, j }))}`;
      return [
        ...sumLines(x.length, (i) => x[i] * W.at({ i, j }), name),
        line(`the bias b${subscript(k)}[${j}]`, signed(trace.of(`b${k}`)[j])),
        line(trace.nameOf(entry, { j }), signed(entry.value[j]), true),
      ];
    },
  },
  answers: {
    title: (trace, { k }) => `what ${trace.layerName(k)} answers`,
    words: (trace, { value }) =>
      `Each sum goes through the activation. ${countNonzero(value)} of the ${value.length} units pass anything on.`,
    lines: (trace, entry, { j }) => {
      const sum = trace.of(`z${entry.k}`)[j];
      const working = filled(entry.equations[0], { [`z${subscript(entry.k)}`]: sum });
      return [
        line(`z${subscript(entry.k)}[${j}], the sum`, signed(sum)),
        line(`${trace.nameOf(entry, { j })} = ${working}`, number(entry.value[j]), true),
      ];
    },
  },
  output: {
    title: () => "the scores become shares",
    words: (trace, { value }) => {
      const best = indexOfMost(value);
      return `The shares of the ten digits add up to 1. The network's answer is ${best}, with ${percent(value[best])}.`;
    },
    lines: (trace, entry, { j }) => {
      const [scores, z] = [trace.of(`z${trace.depth}`), `z${subscript(trace.depth)}`];
      const most = scores.reduce((a, b) => Math.max(a, b));
      const powers = Array.from(scores, (score) => Math.exp(score - most));
      const total = powers.reduce((a, b) => a + b);
      return [
        line(`exp(${z}[${j}] − max ${z}) = exp(${number(scores[j] - most)})`, number(powers[j])),
        line(`Σ_k exp(${z}[k] − max ${z})`, number(total)),
        line(`o[${j}] = ${number(powers[j])} / ${number(total)}`, number(entry.value[j]), true),
      ];
    },
  },
  target: {
    title: () => "what it should have said",
    words: (trace) => `1 for the ${trace.target}, which it should have read, and 0 for all others.`,
    lines: (trace, entry, { j }) => [line(trace.nameOf(entry, { j }), number(entry.value[j]), true)],
  },
  loss: {
    title: () => "how wrong it is",
    words: (trace) => `It should have said ${trace.target}. The loss says how wrong the answer is: 0 would be perfect.`,
    lines: (trace) => {
      const share = number(trace.of("o")[trace.target]);
      return [line(`−log o[${trace.target}] = −log ${share}`, number(trace.loss), true)];
    },
  },
  error: {
    title: (trace, { k }) =>
      k === trace.depth ? "which way to go" : `what the sums of ${trace.layerName(k)} are to blame for`,
    words: (trace, { k }) =>
      k === trace.depth
        ? "How the loss changes with each score: where this is above 0 the score should be lower, where it is below " +
          "0 higher. From here everything runs backwards."
        : "What came back, times the slope of the activation: what each sum is to blame for. That is the chain rule.",
    lines: errorLines,
  },
  weightGradient: {
    title: (trace, { k }) => `the gradient of the weights of ${trace.layerName(k)}`,
    words: () =>
      "A weight is to blame as far as its input was large and the sum that it went into was wrong: the product of " +
      "both. Where nothing came in, nothing is to blame.",
    lines: gradientLines,
  },
  biasGradient: {
    title: (trace, { k }) => `the gradient of the biases of ${trace.layerName(k)}`,
    words: () => "A bias is to blame as far as its sum is: what it is multiplied with is always 1.",
    lines: (trace, entry, { j }) => [
      line(`δ${subscript(entry.k)}[${j}], of the one sample that there is`, signed(trace.delta(entry.k).value[j])),
      line(trace.nameOf(entry, { j }), signed(entry.value[j]), true),
    ],
  },
  passed: {
    title: (trace, { k }) => `what comes back to ${trace.layerName(k)}`,
    words: () => "Each unit answers for all sums that its answer went into, by the same weights, read backwards.",
    lines: (trace, entry, { j }) => {
      const above = entry.k + 1;
      const [delta, W] = [trace.delta(above).value, trace.get(`W${above}`)];
      const weight = (c) => W.at({ i: j, j: c });
      const at = subscript(above);
      const name = (c) => `W${at}[${j},${c}] δ${at}[${c}] = ${number(weight(c))} · ${signed(delta[c])}`;
      return [
        ...sumLines(delta.length, (c) => weight(c) * delta[c], name),
        line(trace.nameOf(entry, { j }), signed(entry.value[j]), true),
      ];
    },
  },
  slope: {
    title: (trace, { k }) => `the slope of the activation in ${trace.layerName(k)}`,
    words: (trace, { value }) =>
      "How far the activation lets a small change of the sum through. " +
      `${value.length - countNonzero(value)} of the ${value.length} units let nothing through.`,
    lines: (trace, entry, { j }) => {
      const at = subscript(entry.k);
      const numbers = { [`z${at}`]: trace.of(`z${entry.k}`)[j], [`y${at}`]: trace.of(`y${entry.k}`)[j] };
      return [
        ...Object.entries(numbers).map(([name, value]) => line(`${name}[${j}]`, signed(value))),
        line(`${trace.nameOf(entry, { j })} = ${filled(entry.equations[0], numbers)}`, number(entry.value[j]), true),
      ];
    },
  },
  moment: {
    title: (trace, { parameter }) => `what ${trace.optimizer} keeps of ${parameter}`,
    words: (trace) => `${trace.optimizer} remembers something of all gradients so far; this one is added to it.`,
    lines: (trace, entry, place) => [gradientLine(trace, entry, place), momentLine(trace, entry, place)],
  },
  update: {
    title: (trace, { k, letter }) => `the ${letter === "W" ? "weights" : "biases"} of ${trace.layerName(k)}, updated`,
    words: (trace) => `${trace.optimizer} turns gradients into steps; this is its step number ${trace.t} = t.`,
    lines: updateLines,
  },
  other: {
    title: () => "another array of the step",
    words: () => "",
    lines: (trace, entry, { j }) => [line(trace.nameOf(entry, { j }), number(entry.value[j]), true)],
  },
};

function errorLines(trace, entry, { j }) {
  const { k } = entry;
  if (k === trace.depth) {
    const [share, wanted] = [trace.of("o")[j], trace.of("t")[j]];
    const text = `${trace.nameOf(entry, { j })} = o[${j}] − t[${j}] = ${number(share)} − ${number(wanted)}`;
    return [line(text, signed(entry.value[j]), true)];
  }
  const [back, slope] = [trace.get(`dy${k}`), trace.get(`slope_z${k}`)];
  const name = `δ${subscript(k)}[${j}]`;
  return [
    line(`${back.symbol.text}[${j}], what comes back`, signed(back.value[j])),
    ...(slope ? [line(`${slope.symbol.text}[${j}], the slope of the activation there`, number(slope.value[j]))] : []),
    line(
      slope ? `${name} = ${bracketed(back.value[j])} · ${number(slope.value[j])}` : `${name}, which is the same`,
      signed(entry.value[j]),
      true,
    ),
  ];
}

export function gradientLines(trace, entry, { i, j }) {
  const [x, delta] = [trace.into(entry.k).value[i], trace.delta(entry.k).value[j]];
  return [
    line(`${trace.inputName(entry.k, i)}, what came in`, signed(x)),
    line(`δ${subscript(entry.k)}[${j}], what the sum is to blame for`, signed(delta)),
    line(`${trace.nameOf(entry, { i, j })} = ${number(x)} · ${signed(delta)}`, signed(entry.at({ i, j })), true),
  ];
}

function gradientLine(trace, entry, place) {
  const gradient = trace.get(`d${entry.letter}${entry.k}`);
  return line(`g = ${trace.nameOf(gradient, place)}, the gradient`, signed(gradient.at(place)));
}

function momentLine(trace, entry, place) {
  const was = number(entry.at(place, entry.before));
  return line(`${entry.symbol.text}, was ${was}`, signed(entry.at(place)), entry.kind === "moment");
}

export function updateLines(trace, entry, place) {
  const [before, after] = [entry.at(place, entry.before), entry.at(place)];
  const name = trace.nameOf(entry, place);
  return [
    gradientLine(trace, entry, place),
    ...trace.moments(entry).map((moment) => ({ ...momentLine(trace, moment, place), result: false })),
    line("lr, the learning rate", number(trace.rate)),
    line(`${name} was`, signed(before)),
    line("and moves by", signed(after - before)),
    line(name, signed(after), true),
  ];
}

/** Returns a sum: its largest terms, and all others in one. */
function sumLines(count, term, name) {
  const terms = Array.from({ length: count }, (_, i) => ({ i, size: term(i) })).filter(({ size }) => size !== 0);
  terms.sort((a, b) => Math.abs(b.size) - Math.abs(a.size));
  const rest = terms.slice(TERMS);
  const lines = terms.slice(0, TERMS).map(({ i, size }) => line(name(i), signed(size)));
  if (!rest.length) return lines;
  const together = rest.reduce((sum, { size }) => sum + size, 0);
  return [...lines, line(`the other ${rest.length} that are not 0, together`, signed(together))];
}

/**
 * Returns the way of the blame from the loss down to one unit of layer `k`, in each layer above it by the unit that has
 * the largest share in what comes back: [{entry, lines}], the loss first.
 */
export function chain(trace, k, unit) {
  const units = { [k]: unit };
  for (let layer = k + 1; layer <= trace.depth; layer++) {
    const [delta, W, from] = [trace.delta(layer).value, trace.get(`W${layer}`), units[layer - 1]];
    units[layer] = indexOfMost(delta, (size, c) => Math.abs(size * W.at({ i: from, j: c })));
  }
  const way = [];
  for (let layer = trace.depth; layer >= k; layer--) {
    const entry = trace.delta(layer);
    const lines = errorLines(trace, entry, { j: units[layer] });
    if (layer < trace.depth) lines.unshift(shareLine(trace, layer, units[layer], units[layer + 1]));
    way.push({ entry, lines });
  }
  return way;
}

/** Returns the largest term of what comes back to a unit. */
function shareLine(trace, layer, unit, above) {
  const [at, W, delta] = [subscript(layer + 1), trace.get(`W${layer + 1}`), trace.delta(layer + 1).value];
  const weight = W.at({ i: unit, j: above });
  const count = delta.filter((size) => size !== 0).length;
  const text = `W${at}[${unit},${above}] δ${at}[${above}] = ${number(weight)} · ${signed(delta[above])}`;
  return line(count > 1 ? `${text}, the largest of ${count} terms` : text, signed(weight * delta[above]));
}

/** Computes losses with other weights than the network has, in double precision; `model` is that of net.js. */
export class Proof {
  constructor(trace, model) {
    this.trace = trace;
    this.now = withParameters(model, trace, (name) => trace.of(name));
    this.then = withParameters(model, trace, (name) => trace.of(`${name}_new`));
  }

  /** Returns the slope of the loss along one weight, (L(w + e) − L(w − e)) / 2e. */
  slope(k, { i, j }) {
    const layer = this.now.layers.filter(({ W }) => W)[k - 1];
    const place = i * layer.units + j;
    const kept = layer.W[place];
    const [above, below] = [1, -1].map((sign) => {
      layer.W[place] = kept + sign * NUDGE;
      return this.lossOf(this.now);
    });
    layer.W[place] = kept;
    return (above - below) / (2 * NUDGE);
  }

  /** Returns the share of the wanted digit before and after the step. */
  shares() {
    return [this.now, this.then].map((model) => forward(model, this.trace.pixels).output[this.trace.target]);
  }

  /** Returns −log o[t] = log Σ_c exp(z[c] − z[t]), in a form that is exact where o[t] is almost 1, or almost 0. */
  lossOf(model) {
    const { layers } = forward(model, this.trace.pixels);
    const scores = layers[layers.length - 2].output;
    const best = indexOfMost(scores);
    const rest = scores.reduce((sum, z, c) => sum + (c === best ? 0 : Math.exp(z - scores[best])), 0);
    return scores[best] - scores[this.trace.target] + Math.log1p(rest);
  }
}

function withParameters(model, trace, numbers) {
  let k = 0;
  const layers = model.layers.map((layer) => {
    if (!layer.W) return layer;
    k += 1;
    return { ...layer, W: Float64Array.from(numbers(`W${k}`)), b: Float64Array.from(numbers(`b${k}`)) };
  });
  if (k !== trace.depth) throw new Error("The network has changed since this step was opened: open the newest one.");
  return { ...model, layers };
}

export function verdict(relative, difference) {
  if (relative < AGREES) return "It is.";
  return difference < TINY
    ? "It is, as far as numbers of seven digits can tell."
    : "It is not: the loss may have a kink there.";
}

export function line(text, value, result = false) {
  return { text, value, result };
}
