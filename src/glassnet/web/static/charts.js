// Curves and histograms on canvas, with axes, ticks and a text that says the same in numbers; racers are told apart by
// colour, dash and marker alike. Colours come from CSS variables, so a chart follows the light and the dark look. Also
// the small things that the rooms Learn and Step both need to show numbers.

import { formatNumber } from "./pictures.js";

const SVG = "http://www.w3.org/2000/svg";
const MARKER_SIZE = 4;
const MARKER_GAP = 64;
const PAD = { top: 10, right: 14, bottom: 38 };

/** How a racer's lines look: its colour is the CSS variable, `marker` one of those that `markerPath` draws. */
const LOOKS = [
  { colour: "--racer-1", dash: [], marker: "circle" },
  { colour: "--racer-2", dash: [7, 3], marker: "square" },
  { colour: "--racer-3", dash: [2, 3], marker: "triangle" },
  { colour: "--racer-4", dash: [9, 3, 2, 3], marker: "diamond" },
];

/** Makes an element; `text` is text, never HTML. */
export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== "") element.textContent = text;
  return element;
}

/** Writes a text where it is another than before, so that nothing is announced twice. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Writes a share as per cent with two decimals: "97.31 %". */
export function percent(share) {
  return `${(100 * share).toFixed(2)} %`;
}

/** Returns whether the reader wants little motion. */
export function isCalm() {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Makes the small drawing of a racer's line that legends and tables show beside its name. */
export function swatch(racer) {
  const look = LOOKS[racer];
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `chart-swatch chart-racer-${racer + 1}`);
  svg.setAttribute("viewBox", "0 0 34 14");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("class", "chart-swatch-line");
  line.setAttribute("d", "M0 7H34");
  line.setAttribute("stroke-dasharray", look.dash.join(" "));
  const marker = document.createElementNS(SVG, "path");
  marker.setAttribute("class", "chart-swatch-marker");
  marker.setAttribute("d", markerPath(look.marker, 17, 7));
  svg.append(line, marker);
  return svg;
}

/**
 * Draws curves over epochs.
 *
 * @param {HTMLCanvasElement} canvas - sized by the style sheet
 * @param {{name: string, number: (value: number) => string, onread?: (x: number | null) => void}} options - what is
 *   drawn; how its numbers are written; told where the pointer is, in epochs
 * @returns {{show: (series: object[], range: object) => void, mark: (x: number | null) => void}} `show` takes lines
 *   `{name, racer, thin, points: [[x, y], ...]}` and `{low?, high?, logarithmic?}`; `mark` draws a vertical line
 */
export function curveChart(canvas, { name, number, onread }) {
  let series = [];
  let range = {};
  let marked = null;
  let frame = null;
  const repaint = painted(canvas, (context, width, height, colour) => {
    frame = curveFrame(context, series, range, width, height, number);
    drawAxes(context, frame, colour);
    clipped(context, frame, () => {
      for (const one of series) drawSeries(context, frame, one, colour);
      if (marked !== null) drawMark(context, frame, marked, colour);
    });
  });
  if (onread) {
    const read = (event) => frame && onread(frame.epochAt(event.clientX - canvas.getBoundingClientRect().left));
    canvas.addEventListener("pointermove", read);
    canvas.addEventListener("pointerdown", read);
    canvas.addEventListener("pointerleave", () => onread(null));
  }
  return {
    show(newSeries, newRange) {
      series = newSeries;
      range = newRange;
      canvas.setAttribute("aria-label", describeCurves(name, series, number));
      repaint();
    },
    mark(x) {
      if (x === marked) return;
      marked = x;
      repaint();
    },
  };
}

/**
 * Draws a histogram with logarithmic heights, so that a few stray values are seen beside thousands.
 *
 * @param {HTMLCanvasElement} canvas - sized by the style sheet
 * @returns {{show: (histogram: {edges: number[], counts: number[]}, label: string) => void}}
 */
export function histogramChart(canvas) {
  let histogram = { edges: [], counts: [] };
  const repaint = painted(canvas, (context, width, height, colour) => {
    if (histogram.counts.some((count) => count > 0)) drawHistogram(context, histogram, width, height, colour);
  });
  return {
    show(newHistogram, label) {
      histogram = newHistogram;
      canvas.setAttribute("aria-label", label);
      repaint();
    },
  };
}

/** Returns round numbers from `low` to `high`, about as many as wanted. */
export function ticks(low, high, wanted) {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) return [low];
  const power = 10 ** Math.floor(Math.log10(span / wanted));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => span / one <= wanted);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Returns powers of ten from `low` to `high`, with their halves and fifths where there are few, or what `ticks` does. */
export function logTicks(low, high) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const factors = last - first > 3 ? [1] : [1, 2, 5];
  const found = [];
  for (let power = first; power <= last; power++) {
    for (const factor of factors) found.push(Number(`${factor}e${power}`));
  }
  const within = found.filter((tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9));
  return within.length > 1 ? within : ticks(low, high, 4);
}

/**
 * Repaints a canvas at the resolution of the screen, whenever its size, the look or what it shows changes; returns the
 * function that asks for it.
 */
function painted(canvas, paint) {
  let asked = false;
  const repaint = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      if (!width || !height) return; // its room is not the one that is seen
      const ratio = window.devicePixelRatio || 1;
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      const style = getComputedStyle(canvas);
      const context = canvas.getContext("2d");
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.font = `12px ${style.fontFamily}`;
      paint(context, width, height, (variable) => style.getPropertyValue(variable).trim());
    });
  };
  new ResizeObserver(repaint).observe(canvas);
  window.addEventListener("resize", repaint);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  return repaint;
}

/** Returns where numbers lie on the canvas, and which of them are written at the axes. */
function curveFrame(context, series, range, width, height, number) {
  const points = series.flatMap((one) => one.points);
  const logarithmic = Boolean(range.logarithmic);
  const { low, high } = verticalRange(points, range);
  const rows = logarithmic ? logTicks(low, high) : ticks(low, high, Math.max(3, Math.floor(height / 44)));
  const labels = rows.map(number);
  const left = 10 + Math.max(16, ...labels.map((label) => context.measureText(label).width));
  const end = Math.max(...points.map(([x]) => x), 0) || 1;
  const plot = { left, top: PAD.top, right: width - PAD.right, bottom: height - PAD.bottom };
  const scale = logarithmic ? Math.log : (value) => value;
  const across = (plot.right - plot.left) / end;
  const upwards = (plot.bottom - plot.top) / (scale(high) - scale(low));
  return {
    ...plot,
    rows,
    labels,
    columns: ticks(0, end, Math.max(2, Math.floor((plot.right - plot.left) / 64))),
    x: (epoch) => plot.left + epoch * across,
    y: (value) => plot.bottom - (scale(value) - scale(low)) * upwards,
    drawn: (value) => Number.isFinite(value) && (!logarithmic || value > 0),
    epochAt: (x) => Math.min(Math.max((x - plot.left) / across, 0), end),
  };
}

/** Returns the smallest and the largest number at the vertical axis: as asked for, else so that all is seen. */
function verticalRange(points, { low, high, logarithmic }) {
  const values = points.map(([, y]) => y).filter((y) => Number.isFinite(y) && (!logarithmic || y > 0));
  const least = values.length ? values.reduce((a, b) => Math.min(a, b)) : 0.1;
  const most = values.length ? values.reduce((a, b) => Math.max(a, b)) : 1;
  const bottom = low ?? (logarithmic ? least * 0.9 : 0);
  const top = high ?? most * 1.05;
  return { low: bottom, high: top > bottom ? top : bottom + 1 };
}

function drawAxes(context, frame, colour) {
  context.lineWidth = 1;
  context.strokeStyle = colour("--pale");
  context.fillStyle = colour("--grey");
  context.textAlign = "right";
  context.textBaseline = "middle";
  frame.rows.forEach((row, i) => {
    stroke(context, frame.left, frame.y(row), frame.right, frame.y(row));
    context.fillText(frame.labels[i], frame.left - 6, frame.y(row));
  });
  context.textAlign = "center";
  context.textBaseline = "top";
  context.strokeStyle = colour("--line");
  for (const column of frame.columns) {
    stroke(context, frame.x(column), frame.bottom, frame.x(column), frame.bottom + 4);
    context.fillText(String(column), frame.x(column), frame.bottom + 6);
  }
  stroke(context, frame.left, frame.bottom, frame.right, frame.bottom);
  context.textAlign = "right";
  context.fillText("epochs", frame.right, frame.bottom + 22);
}

function drawSeries(context, frame, { racer, thin, points }, colour) {
  const look = LOOKS[racer];
  context.strokeStyle = context.fillStyle = colour(look.colour);
  context.lineWidth = thin ? 1 : 2.25;
  context.lineJoin = "round";
  context.setLineDash(look.dash);
  context.beginPath();
  let pen = false;
  for (const [x, y] of points) {
    if (!frame.drawn(y)) {
      pen = false;
      continue;
    }
    if (pen) context.lineTo(frame.x(x), frame.y(y));
    else context.moveTo(frame.x(x), frame.y(y));
    pen = true;
  }
  context.stroke();
  context.setLineDash([]);
  if (!thin) drawMarkers(context, frame, look.marker, points);
}

/** Draws a marker at the newest point, and at some before it that are not too close to each other. */
function drawMarkers(context, frame, marker, points) {
  let last = Infinity;
  for (let i = points.length - 1; i >= 0; i--) {
    const [x, y] = points[i];
    if (!frame.drawn(y) || last - frame.x(x) < MARKER_GAP) continue;
    last = frame.x(x);
    context.fill(new Path2D(markerPath(marker, last, frame.y(y))));
  }
}

function drawMark(context, frame, epoch, colour) {
  context.strokeStyle = colour("--ink");
  context.lineWidth = 1;
  stroke(context, frame.x(epoch), frame.top, frame.x(epoch), frame.bottom);
}

function drawHistogram(context, { edges, counts }, width, height, colour) {
  const [low, high] = [edges[0], edges[edges.length - 1]];
  const most = counts.reduce((a, b) => Math.max(a, b));
  const plot = { left: 6, top: 16, right: width - 6, bottom: height - 20 };
  const x = (value) => plot.left + ((value - low) / (high - low || 1)) * (plot.right - plot.left);
  const tall = (count) => (Math.log10(1 + count) / Math.log10(1 + most)) * (plot.bottom - plot.top);
  context.fillStyle = colour("--accent");
  counts.forEach((count, i) => {
    const [from, to] = [x(edges[i]), x(edges[i + 1])];
    context.fillRect(from + 0.5, plot.bottom - tall(count), Math.max(to - from - 1, 1), tall(count));
  });
  context.strokeStyle = colour("--line");
  stroke(context, plot.left, plot.bottom, plot.right, plot.bottom);
  drawEdges(context, plot, x, low, high, colour);
}

/** Writes the ends of a histogram under it, and 0 where it lies between with room for it. */
function drawEdges(context, plot, x, low, high, colour) {
  const [first, last] = [formatNumber(low), formatNumber(high)];
  context.fillStyle = colour("--grey");
  context.textBaseline = "top";
  context.textAlign = "left";
  context.fillText(first, plot.left, plot.bottom + 5);
  context.textAlign = "right";
  context.fillText(last, plot.right, plot.bottom + 5);
  if (low >= 0 || high <= 0) return;
  context.strokeStyle = colour("--ink");
  stroke(context, x(0), plot.top - 6, x(0), plot.bottom + 3);
  const [from, to] = [plot.left + context.measureText(first).width, plot.right - context.measureText(last).width];
  if (x(0) - from < 12 || to - x(0) < 12) return;
  context.textAlign = "center";
  context.fillText("0", x(0), plot.bottom + 5);
}

function describeCurves(name, series, number) {
  const told = series.map(({ name: line, points }) => {
    const seen = points.filter(([, y]) => Number.isFinite(y));
    if (!seen.length) return `${line}: nothing yet.`;
    const values = seen.map(([, y]) => y);
    const [least, most] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
    const [epoch, last] = seen[seen.length - 1];
    const range = `between ${number(least)} and ${number(most)}`;
    return `${line}: from ${number(values[0])} to ${number(last)} at epoch ${epoch.toFixed(2)}, ${range}.`;
  });
  return `${name} by epochs. ${told.join(" ")}`;
}

function markerPath(marker, x, y) {
  const r = MARKER_SIZE;
  if (marker === "square") return `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`;
  if (marker === "triangle") return `M${x} ${y - r - 1}l${r + 1} ${2 * r}h${-2 * r - 2}z`;
  if (marker === "diamond") return `M${x} ${y - r - 1}l${r + 1} ${r + 1}l${-r - 1} ${r + 1}l${-r - 1} ${-r - 1}z`;
  return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`;
}

function clipped(context, { left, top, right, bottom }, draw) {
  context.save();
  context.beginPath();
  const room = MARKER_SIZE + 1; // a marker at an end is seen whole
  context.rect(left - room, top - room, right - left + 2 * room, bottom - top + 2 * room);
  context.clip();
  draw();
  context.restore();
}

function stroke(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}
