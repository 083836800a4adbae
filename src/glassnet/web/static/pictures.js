// Digits, weights and activations as pictures on a canvas, and the same numbers in words.
//
// Digits are dark on white. Signed numbers are white at 0, blue below and orange above, up to a limit.

const BELOW = [0, 97, 154];
const ABOVE = [196, 77, 0];
const WHITE = 255;

/** Returns [red, green, blue] of a number as a share of its limit: -1 blue, 0 white, 1 orange; NaN is grey. */
export function signedColour(share) {
  if (Number.isNaN(share)) return [128, 128, 128];
  const end = share < 0 ? BELOW : ABOVE;
  const size = Math.min(Math.abs(share), 1);
  return end.map((channel) => Math.round(WHITE + size * (channel - WHITE)));
}

/** Returns the size of the largest number, 0 if there is none; what is not finite does not count. */
export function largestSize(values) {
  let most = 0;
  for (const value of values) {
    const size = Math.abs(value);
    if (size > most && size < Infinity) most = size;
  }
  return most;
}

/** Returns the size that 99.5 % of all weights stay below, so that few large ones do not pale the rest. */
export function weightLimit(values) {
  const sizes = Float32Array.from(values, (value) => (Number.isFinite(value) ? Math.abs(value) : 0)).sort();
  return sizes.length ? sizes[Math.floor(0.995 * (sizes.length - 1))] : 0;
}

/** Returns the weights that lead into one unit: a column of W, which is (inputs, units) row by row. */
export function weightsOfUnit({ W, inputs, units }, unit) {
  return Float32Array.from({ length: inputs }, (_, i) => W[i * units + unit]);
}

/** Paints a grey picture of 0 to 255, dark on white, one canvas pixel a number. */
export function paintDigit(canvas, pixels, columns = 28) {
  paintGrid(canvas, pixels, columns, (value) => [WHITE - value, WHITE - value, WHITE - value]);
}

/** Paints signed numbers row by row, one canvas pixel a number. */
export function paintSigned(canvas, values, columns, limit = largestSize(values)) {
  paintGrid(canvas, values, columns, (value) => signedColour(value / (limit || 1)));
}

/** Paints what every unit of a first layer looks for: its weights as a picture of the inputs, one scale for all. */
export function paintUnits(canvas, layer, { side = 28, columns = 10, limit = weightLimit(layer.W), most = 100 } = {}) {
  const { W, units } = layer;
  const count = Math.min(units, most);
  const step = side + 2;
  const width = Math.min(columns, count) * step - 2;
  const height = Math.ceil(count / columns) * step - 2;
  const [context, image] = blankImage(canvas, width, height);
  for (let unit = 0; unit < count; unit++) {
    const corner = Math.floor(unit / columns) * step * width + (unit % columns) * step;
    for (let i = 0; i < side * side; i++) {
      const place = corner + Math.floor(i / side) * width + (i % side);
      setPixel(image, place, signedColour(W[i * units + unit] / (limit || 1)));
    }
  }
  context.putImageData(image, 0, 0);
}

/**
 * Paints numbers as square cells with lines between them, sharp on every screen.
 *
 * @param {HTMLCanvasElement} canvas - its CSS colour is that of the lines, its outline colour that of the chosen cell
 * @param {ArrayLike<number>} values
 * @param {{columns: number, size: number, limit?: number, chosen?: number}} look - size of a cell in CSS pixels
 */
export function paintCells(canvas, values, { columns, size, limit = largestSize(values), chosen = -1 }) {
  const style = getComputedStyle(canvas);
  const context = sharpContext(canvas, columns * size + 1, Math.ceil(values.length / columns) * size + 1);
  for (let i = 0; i < values.length; i++) {
    const [left, top] = cornerOf(i, columns, size);
    context.fillStyle = style.color;
    context.fillRect(left, top, size + 1, size + 1);
    context.fillStyle = `rgb(${signedColour(values[i] / (limit || 1)).join()})`;
    context.fillRect(left + 1, top + 1, size - 1, size - 1);
  }
  if (chosen >= 0 && chosen < values.length) {
    const [left, top] = cornerOf(chosen, columns, size);
    context.strokeStyle = style.outlineColor;
    context.lineWidth = 3;
    context.strokeRect(left + 1, top + 1, size - 1, size - 1);
  }
}

/** Sets a canvas to a size in CSS pixels, at the screen's resolution, cleared; returns its context. */
export function sharpContext(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/** Writes a number with so many significant digits and a true minus sign: "−0.0123", "1.2e−7". */
export function formatNumber(value, digits = 3) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : `${value < 0 ? "−" : ""}∞`;
  const size = Math.abs(value);
  const plain = value === 0 || (size >= 1e-4 && size < 1e6);
  const text = plain ? Number(value.toPrecision(digits)).toString() : value.toExponential(digits - 1);
  return text.replaceAll("-", "−");
}

/** Writes a share as per cent: "97.3 %". */
export function formatShare(share) {
  return Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : "no number";
}

/** Says in words what a picture of numbers shows: how many, how many above 0, from where to where. */
export function describeNumbers(values) {
  let [low, high, above] = [Infinity, -Infinity, 0];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
    above += value > 0 ? 1 : 0;
  }
  if (!values.length) return "no numbers";
  return `${values.length} numbers, ${above} above 0, from ${formatNumber(low)} to ${formatNumber(high)}`;
}

function paintGrid(canvas, values, columns, colourOf) {
  const [context, image] = blankImage(canvas, columns, Math.ceil(values.length / columns));
  for (let i = 0; i < values.length; i++) setPixel(image, i, colourOf(values[i]));
  context.putImageData(image, 0, 0);
}

function blankImage(canvas, width, height) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  return [context, context.createImageData(width, height)];
}

function setPixel(image, place, [red, green, blue]) {
  image.data.set([red, green, blue, 255], 4 * place);
}

function cornerOf(i, columns, size) {
  return [(i % columns) * size, Math.floor(i / columns) * size];
}

/** Writes a whole number with commas: "55,000". */
export function grouped(count) {
  return count.toLocaleString("en-GB");
}

/** Writes an index below the line: "₁₂". */
export function subscript(k) {
  return String(k).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);
}
