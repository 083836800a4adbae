// The curves of all racers, and what they are at one epoch.

import { curveChart, make, percent, setText, swatch } from "./charts.js";
import { fillList, shown } from "./learn-parts.js";
import { formatNumber } from "./pictures.js";

const LOSS_SHOWN = 3;

/** Loss and accuracy of all racers, and what they are at one epoch. */
export class Curves {
  constructor(root) {
    this.points = [];
    this.racers = 0;
    this.at = null; // the epoch that the slider points to; null is the newest one, whichever that is
    this.hovered = null; // the epoch under the pointer
    const [loss, accuracy] = root.querySelectorAll(".learn-curve");
    const onread = (epoch) => {
      this.hovered = epoch;
      this.read();
    };
    const share = (value) => `${formatNumber(100 * value)} %`;
    this.loss = curveChart(loss, { name: "Loss", number: (value) => formatNumber(value), onread });
    this.accuracy = curveChart(accuracy, { name: "Accuracy", number: share, onread });
    this.logarithmic = root.querySelector(".learn-log");
    this.top = root.querySelector(".learn-top");
    this.cut = root.querySelector(".learn-cut");
    this.legend = root.querySelector(".learn-legend");
    this.slider = root.querySelector("#learn-read-at");
    this.readings = root.querySelector(".learn-readings");
    for (const box of [this.logarithmic, this.top]) box.addEventListener("change", () => this.draw());
    this.slider.addEventListener("input", () => {
      const share = Number(this.slider.value) / 100;
      this.at = share < 1 ? share * this.end : null;
      this.read();
    });
    this.draw();
  }

  take({ racer, points, from }) {
    this.points[racer] = [...(this.points[racer] ?? []).slice(0, from), ...points];
    this.draw();
  }

  update({ racers }) {
    if (racers.length === this.racers) return;
    this.racers = racers.length;
    this.points.length = Math.min(this.points.length, this.racers);
    this.legend.replaceChildren(...racers.map((_, i) => legendItem(`Racer ${i + 1}`, swatch(i))));
    if (this.racers) this.legend.append(make("li", "learn-hint", "thick with markers: validation; thin: training"));
    this.draw();
  }

  draw() {
    const highest = this.highestLoss();
    const cut = !this.logarithmic.checked && highest > LOSS_SHOWN;
    setText(this.cut, cut ? `cut off at ${LOSS_SHOWN}` : "");
    const linear = cut ? { high: LOSS_SHOWN } : {};
    this.loss.show(this.lines(2, 4), this.logarithmic.checked ? { logarithmic: true } : { low: 0, ...linear });
    this.accuracy.show(this.lines(3, 5), { low: this.top.checked ? 0.9 : 0, high: 1 });
    this.moveSlider();
    this.read();
  }

  highestLoss() {
    return this.points.flat().reduce((most, point) => Math.max(most, point[2] ?? 0, point[4] ?? 0), 0);
  }

  /** Returns the lines of all racers for two columns of their points. */
  lines(training, validation) {
    return this.points.flatMap((points, racer) => [
      { name: `Racer ${racer + 1}, training`, racer, thin: true, points: column(points, training) },
      { name: `Racer ${racer + 1}, validation`, racer, thin: false, points: column(points, validation) },
    ]);
  }

  get end() {
    return this.points.flat().reduce((most, point) => Math.max(most, point[1]), 0);
  }

  /** Keeps the slider at its epoch while the curves grow, or at their end. */
  moveSlider() {
    const { end } = this;
    if (this.at !== null && this.at >= end) this.at = null;
    this.slider.disabled = end === 0;
    this.slider.value = this.at === null ? 100 : (100 * this.at) / end;
  }

  /** Tells the numbers at the epoch that is pointed to. */
  read() {
    const epoch = this.hovered ?? this.at;
    const at = epoch ?? this.end;
    const told = this.points.map((points, racer) => reading(racer, nearestTo(points, at)));
    for (const chart of [this.loss, this.accuracy]) chart.mark(epoch);
    fillList(this.readings, told);
    this.slider.setAttribute("aria-valuetext", `epoch ${at.toFixed(2)}. ${told.join(" ")}`);
  }
}

function column(points, index) {
  return points.map((point) => [point[1], point[index] ?? NaN]);
}

function nearestTo(points, epoch) {
  const distance = (point) => Math.abs(point[1] - epoch);
  return points.reduce((best, point) => (!best || distance(point) < distance(best) ? point : best), null);
}

function reading(racer, point) {
  if (!point) return `Racer ${racer + 1}: nothing yet.`;
  const [, epoch, trainLoss, trainAccuracy, loss, accuracy] = point;
  const number = (value) => shown(value, (one) => one.toFixed(4));
  const share = (value) => shown(value, percent);
  return `Racer ${racer + 1} at epoch ${epoch.toFixed(2)}: loss ${number(loss)} (training ${number(trainLoss)}), ` +
    `accuracy ${share(accuracy)} (training ${share(trainAccuracy)}).`;
}

function legendItem(text, picture) {
  const item = make("li");
  item.append(picture, make("span", "", text));
  return item;
}
