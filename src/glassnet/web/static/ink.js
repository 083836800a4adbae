// A drawing brought to the form of MNIST: 28 x 28, thick enough, 20 pixels high, its centre of mass in the middle.
// Pure: no DOM.
//
// The same as `_to_box` and `_place` in glassnet/data/pictures.py, with the resampling of Pillow (Hamming), so that
// the page sees what the command line sees.

export const SIDE = 28;
const BOX = 20;
const FINE = 4; // how many times finer than MNIST's pixels the grid is on which strokes are measured and thickened
const THINNEST = 1.6; // strokes thinner than this (in pixels of 28 x 28) are thickened ...
const THICKENED = 2.1; // ... to this
const FAINT = 1e-6;

/**
 * Draws a straight piece of a stroke with round ends; what is darker already stays.
 *
 * @param {Uint8Array} grey - width x height, 0 ground to 255 ink, changed in place
 * @param {{x: number, y: number}} from - in pixels, from the left upper edge
 * @param {{x: number, y: number}} to
 * @param {number} radius - half the width of the pen, in pixels
 */
export function drawLine(grey, width, height, from, to, radius) {
  const [left, right] = pixelRange(from.x, to.x, radius + 1, width);
  const [top, bottom] = pixelRange(from.y, to.y, radius + 1, height);
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length2 = dx * dx + dy * dy || 1;
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const [px, py] = [x + 0.5 - from.x, y + 0.5 - from.y];
      const along = Math.min(Math.max((px * dx + py * dy) / length2, 0), 1);
      const distance = Math.hypot(px - along * dx, py - along * dy);
      const shade = Math.round(255 * Math.min(Math.max(radius + 0.5 - distance, 0), 1));
      const place = y * width + x;
      if (shade > grey[place]) grey[place] = shade;
    }
  }
}

/**
 * Brings a drawing to the form of MNIST.
 *
 * @param {ArrayLike<number>} grey - width x height row by row, 0 ground to 255 ink
 * @returns {Uint8Array | null} 784 numbers of 0 to 255, or null if nothing is drawn
 */
export function toMnistForm(grey, width, height) {
  const ink = cropped(grey, width, height);
  return ink && placed(toBox(ink));
}

/** Cuts out the bounding box of the ink as {values, width, height}, values of 0 to 1; null if there is no ink. */
function cropped(grey, width, height) {
  let [top, bottom, left, right] = [height, -1, width, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!(grey[y * width + x] > 0)) continue;
      if (top > y) top = y;
      bottom = y;
      if (left > x) left = x;
      if (right < x) right = x;
    }
  }
  if (bottom < 0) return null;
  const picture = blank(right - left + 1, bottom - top + 1);
  for (let y = 0; y < picture.height; y++) {
    for (let x = 0; x < picture.width; x++) {
      picture.values[y * picture.width + x] = grey[(top + y) * width + left + x] / 255;
    }
  }
  return picture;
}

/** Brings ink to the size of MNIST's digits: the longer side 20 pixels, strokes not too thin, the brightest 1. */
function toBox(ink) {
  const width = strokeWidth(fitted(ink, FINE * BOX)) / FINE;
  const small = width >= THINNEST ? fitted(ink, BOX) : fitted(thickStrokes(ink, width), BOX);
  const most = Math.max(largestOf(small.values), FAINT);
  small.values.forEach((value, i) => (small.values[i] = value / most));
  return small;
}

function thickStrokes(ink, width) {
  const radius = 0.5 * (THICKENED - width); // grows on both sides of a stroke
  const fine = fitted(ink, roundEven(FINE * (BOX - 2 * radius)));
  const threshold = 0.25 * largestOf(fine.values);
  const usual = Math.max(median(fine.values.filter((value) => value >= threshold)), FAINT);
  fine.values.forEach((value, i) => (fine.values[i] = Math.min(value / usual, 1))); // hairlines have become faint
  return thickened(fine, FINE * radius);
}

/** Resamples so that the longer side has `side` pixels; averages where it shrinks. */
function fitted(picture, side) {
  const scale = side / Math.max(picture.width, picture.height);
  const width = Math.max(1, roundEven(scale * picture.width));
  const height = Math.max(1, roundEven(scale * picture.height));
  const turned = resampledAcross(picture, width);
  return resampledAcross(turned, height);
}

/** Resamples the rows to a new width and returns the picture transposed: twice, and both sides are done. */
function resampledAcross({ values, width, height }, newWidth) {
  const result = blank(height, newWidth);
  for (let x = 0; x < newWidth; x++) {
    const { first, weights } = hammingWeights(x, width, newWidth);
    for (let y = 0; y < height; y++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * values[y * width + first + k];
      result.values[x * height + y] = sum;
    }
  }
  return result;
}

/** Returns which old pixels make new pixel x of a line, and with what weights, as Pillow does. */
function hammingWeights(x, oldSize, newSize) {
  const scale = oldSize / newSize;
  const support = Math.max(scale, 1);
  const centre = (x + 0.5) * scale;
  const first = Math.max(Math.trunc(centre - support + 0.5), 0);
  const end = Math.min(Math.trunc(centre + support + 0.5), oldSize);
  const weights = Array.from({ length: end - first }, (_, k) => hamming((first + k + 0.5 - centre) / support));
  const sum = weights.reduce((a, b) => a + b, 0);
  return { first, weights: weights.map((weight) => weight / sum) };
}

function hamming(x) {
  if (x === 0) return 1;
  if (Math.abs(x) >= 1) return 0;
  const angle = Math.PI * x;
  return (Math.sin(angle) / angle) * (0.54 + 0.46 * Math.cos(angle));
}

/** Estimates the mean width of the strokes: twice the area over the perimeter, pi/4 of the sum of differences. */
function strokeWidth({ values, width, height }) {
  const at = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : values[y * width + x]);
  let [area, differences] = [0, 0];
  for (let y = 0; y <= height; y++) {
    for (let x = 0; x <= width; x++) {
      const value = at(x, y);
      area += value;
      differences += Math.abs(value - at(x - 1, y)) + Math.abs(value - at(x, y - 1));
    }
  }
  return (2 * area) / Math.max((Math.PI / 4) * differences, FAINT);
}

/** Returns the largest value within a disc around each pixel; the picture grows by the radius on all sides. */
function thickened(picture, radius) {
  const reach = Math.ceil(radius);
  const result = blank(picture.width + 2 * reach, picture.height + 2 * reach);
  for (let dy = 0; dy <= 2 * reach; dy++) {
    for (let dx = 0; dx <= 2 * reach; dx++) {
      if (Math.hypot(dy - reach, dx - reach) <= radius) spread(picture, result, dx, dy);
    }
  }
  return trimmed(result);
}

function spread(picture, result, dx, dy) {
  for (let y = 0; y < picture.height; y++) {
    const row = (y + dy) * result.width + dx;
    for (let x = 0; x < picture.width; x++) {
      const value = picture.values[y * picture.width + x];
      if (value > result.values[row + x]) result.values[row + x] = value;
    }
  }
}

/** Cuts off the rows and columns at the edges that hold nothing above 0.1. */
function trimmed(picture) {
  const [rows, columns] = [new Set(), new Set()];
  picture.values.forEach((value, i) => {
    if (value <= 0.1) return;
    rows.add(Math.floor(i / picture.width));
    columns.add(i % picture.width);
  });
  const [top, left] = [Math.min(...rows), Math.min(...columns)];
  const result = blank(Math.max(...columns) - left + 1, Math.max(...rows) - top + 1);
  for (let y = 0; y < result.height; y++) {
    const start = (top + y) * picture.width + left;
    result.values.set(picture.values.subarray(start, start + result.width), y * result.width);
  }
  return result;
}

/** Puts a digit of at most 20 x 20 into 28 x 28 so that its centre of mass lies in the middle. */
function placed({ values, width, height }) {
  let [mass, massX, massY] = [0, 0, 0];
  values.forEach((value, i) => {
    mass += value;
    massX += value * (i % width);
    massY += value * Math.floor(i / width);
  });
  const left = cornerFor(massX / mass, width);
  const top = cornerFor(massY / mass, height);
  const form = new Uint8Array(SIDE * SIDE);
  values.forEach((value, i) => {
    form[(top + Math.floor(i / width)) * SIDE + left + (i % width)] = roundEven(255 * value);
  });
  return form;
}

function cornerFor(centre, size) {
  return Math.min(Math.max(roundEven(SIDE / 2 - centre), 0), SIDE - size);
}

function blank(width, height) {
  return { values: new Float32Array(width * height), width, height };
}

function pixelRange(a, b, margin, size) {
  return [Math.max(Math.floor(Math.min(a, b) - margin), 0), Math.min(Math.ceil(Math.max(a, b) + margin), size)];
}

function largestOf(values) {
  return values.reduce((most, value) => Math.max(most, value), 0);
}

function median(values) {
  const sorted = values.slice().sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Rounds to the nearest whole number, halves to the even one, as Python and NumPy do. */
function roundEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low;
}
