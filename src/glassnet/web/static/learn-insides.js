// The insides of the chosen racer: weights of the first layer, how activations and gradients spread, advice.

import { histogramChart, isCalm, make, setText } from "./charts.js";
import { attempt, fillList, shown } from "./learn-parts.js";
import { formatNumber, formatShare, largestSize, paintUnits, weightLimit } from "./pictures.js";

const LOOK_GAP = 1000;
const WEIGHTS_GAP = 500;
const CALM_GAP = 2000;
const UNITS_SHOWN = 100;

/** Weights, activations and gradients of the chosen racer, asked for only while somebody can see them. */
export class Insides {
  constructor(root, context) {
    this.context = context;
    this.head = root.querySelector("h2");
    this.advice = root.querySelector(".learn-advice");
    this.canvas = root.querySelector(".learn-weights canvas");
    this.caption = root.querySelector(".learn-weights .learn-hint");
    this.layers = root.querySelector(".learn-layers");
    this.cards = [];
    this.shown = false;
    this.inView = false;
    this.askWeights = paced(() => this.showWeights(), () => (isCalm() ? CALM_GAP : WEIGHTS_GAP));
    this.askLook = paced(() => this.look(), () => (isCalm() ? CALM_GAP : LOOK_GAP));
    document.addEventListener("visibilitychange", () => this.update());
    new IntersectionObserver(([entry]) => {
      this.inView = entry.isIntersecting;
      this.update();
    }, { rootMargin: "200px" }).observe(root);
  }

  setShown(shown) {
    this.shown = shown;
    this.update();
  }

  /** Returns what the pictures should be of, as a text that changes with it; empty if there is nothing to see. */
  wanted() {
    const racer = this.context.state()?.racers[this.context.chosen()];
    const seen = this.shown && this.inView && document.visibilityState === "visible";
    if (!racer || !seen) return "";
    return JSON.stringify([this.context.chosen(), racer.config, racer.step, racer.taught]);
  }

  update() {
    setText(this.head, `Inside racer ${this.context.chosen() + 1}`);
    const wanted = this.wanted();
    if (!wanted) return;
    if (wanted !== this.weightsOf) this.askWeights();
    if (wanted !== this.lookOf) this.askLook();
  }

  async showWeights() {
    const wanted = this.wanted();
    if (!wanted || wanted === this.weightsOf) return;
    const number = this.context.chosen();
    const model = await attempt(this.context, () => this.context.net(number));
    if (!model) return;
    this.weightsOf = wanted;
    const first = model.layers.find((layer) => layer.W);
    const limit = weightLimit(first.W);
    paintUnits(this.canvas, first, { limit, most: UNITS_SHOWN });
    this.canvas.style.maxWidth = `${2 * this.canvas.width}px`;
    const some = first.units > UNITS_SHOWN ? `${UNITS_SHOWN} of ${first.units}` : `all ${first.units}`;
    const most = formatNumber(largestSize(first.W));
    const range = `99.5 % lie within ±${formatNumber(limit)}, the largest is ${most} in size`;
    this.canvas.setAttribute("aria-label", `Weights into ${some} units of the first layer of racer ${number + 1}, ` +
      `a picture of 28 by 28 for each: ${range}.`);
    setText(this.caption, `The weights into ${some} units. White is 0, orange above, blue below; full colour from ` +
      `±${formatNumber(limit)} on.`);
  }

  async look() {
    const wanted = this.wanted();
    if (!wanted || wanted === this.lookOf) return;
    const found = await attempt(this.context, () => this.context.api.post("look", { racer: this.context.chosen() }));
    if (!found) return;
    this.lookOf = wanted;
    fillList(this.advice, found.advice);
    while (this.cards.length < found.layers.length) this.cards.push(new LayerCard());
    this.layers.replaceChildren(...found.layers.map((layer, i) => this.cards[i].show(layer)));
  }
}

/** The histograms of one layer, and how many of its units are of no use. */
class LayerCard {
  constructor() {
    this.element = make("section", "learn-layer");
    this.head = make("h3");
    this.counts = make("p", "learn-hint");
    this.activation = new Histogram("Activations");
    this.gradient = new Histogram("Gradients");
    const pair = make("div", "learn-pair");
    pair.append(this.activation.element, this.gradient.element);
    this.element.append(this.head, this.counts, pair);
  }

  show({ name, units, dead, saturated, activation, gradient }) {
    const mean = `mean ${shown(activation.mean, formatNumber)}, deviation ${shown(activation.deviation, formatNumber)}`;
    const count = (share) => shown(share, (one) => String(Math.round(one * units)));
    setText(this.head, name);
    setText(this.counts, `${units} units: ${count(dead)} dead, ${count(saturated)} saturated`);
    this.activation.show(name, activation, mean);
    this.gradient.show(name, gradient, `root mean square ${shown(gradient.rms, formatNumber)}`);
    return this.element;
  }
}

class Histogram {
  constructor(what) {
    this.what = what;
    this.element = make("figure");
    const canvas = make("canvas", "learn-histogram");
    canvas.setAttribute("role", "img");
    this.caption = make("figcaption");
    this.element.append(this.caption, canvas);
    this.chart = histogramChart(canvas);
  }

  show(layer, { edges, counts }, told) {
    const total = counts.reduce((a, b) => a + b, 0);
    const most = counts.reduce((best, count, i) => (count > counts[best] ? i : best), 0);
    const range = `from ${formatNumber(edges[0])} to ${formatNumber(edges[edges.length - 1])}`;
    const tallest = `${formatShare(total ? counts[most] / total : NaN)} lie between ${formatNumber(edges[most])} and ` +
      formatNumber(edges[most + 1]);
    setText(this.caption, `${this.what}: ${told}`);
    this.chart.show({ edges, counts }, `${this.what} of ${layer}: ${total} numbers ${range}, ${told}; ${tallest}.`);
  }
}

/**
 * Returns a function that asks for a task: it runs soon, never twice at a time, and no more often than every so many
 * milliseconds, which `gap` says.
 */
function paced(task, gap) {
  let [busy, wanted, timer, last] = [false, false, 0, -Infinity];
  const run = async () => {
    [busy, wanted, timer, last] = [true, false, 0, performance.now()];
    try {
      await task();
    } finally {
      busy = false;
      if (wanted) ask();
    }
  };
  const ask = () => {
    wanted = true;
    if (!busy && !timer) timer = setTimeout(run, Math.max(0, last + gap() - performance.now()));
  };
  return ask;
}
