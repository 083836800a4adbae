// The network in the page: reads a model file (safetensors) and computes its answer to one picture. Pure: no DOM.
//
// Sums are taken in double precision over the float32 weights, so that every layer agrees with NumPy to 1e-5.

const MOST_HEADER_BYTES = 1_000_000;
const MOST_LAYERS = 64;

// P of `normalTail`, highest power first; the same numbers as in glassnet/functional.py.
const TAIL_COEFFICIENTS = [
  1.78735452218526567e-10, -6.76326721056245388e-10, -2.61803487312554461e-9, 5.47470863204868944e-9,
  2.02576671368615866e-8, -1.79321219166424145e-8, -1.14468507127580798e-7, -1.23715336699219701e-9,
  5.5483404622077898e-7, 4.06717301251544479e-7, -2.61441017065961507e-6, -3.43337221685327538e-6,
  0.0000136273952853526749, 0.0000212504468562083747, -0.000087853303947977457, -0.0000944303394415222288,
  0.000694897121907316619, -0.000285623086809394133, -0.00500237859251149427, 0.0179360974788685885,
  -0.0321978374280220249, 0.0286003640535774896, 0.0139996347244243327, -0.096703477326526068,
  0.472053206509844684,
];

// Every activation that works number by number: its description in the model file -> f.
const POINTWISE = {
  Identity: () => (z) => z,
  Dropout: () => (z) => z,
  Sigmoid: () => sigmoid,
  Tanh: () => Math.tanh,
  ReLU: () => (z) => Math.max(0, z),
  LeakyReLU: ({ alpha }) => (z) => Math.max(z, alpha * z),
  ELU: ({ alpha }) => (z) => (z > 0 ? z : alpha * Math.expm1(z)),
  Softplus: () => (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))),
  SiLU: () => (z) => z * sigmoid(z),
  GELU: () => gelu,
};

/**
 * Reads a model file.
 *
 * @param {ArrayBuffer} buffer - its bytes: header length, JSON header, numbers
 * @returns {{layers: object[], inputShape: number[], classNames: string[], preprocessing: object, parameters: number}}
 *   each layer has name, type, inputs, units and what its type brings (W and b of a Dense, alpha)
 * @throws {Error} with one sentence if anything does not fit
 */
export function readModel(buffer) {
  const { header, data } = splitFile(buffer);
  const about = readAbout(header);
  const tensors = readTensors(header, data);
  const inputShape = readInputShape(about.input_shape);
  const layers = buildLayers(about.layers, product(inputShape), tensors);
  const outputs = layers[layers.length - 1].units;
  return {
    layers,
    inputShape,
    classNames: readClassNames(about.class_names, outputs),
    preprocessing: readPreprocessing(about.preprocessing, product(inputShape)),
    parameters: layers.reduce((sum, layer) => sum + (layer.W ? layer.W.length + layer.b.length : 0), 0),
  };
}

/**
 * Computes the network's answer to one picture.
 *
 * @param {object} model - of `readModel`
 * @param {ArrayLike<number>} pixels - raw, 0 to 255, as many as the input shape says
 * @returns {{x: Float64Array, layers: object[], output: Float64Array}} the layers with their input and output beside
 *   what the model holds of them
 */
export function forward(model, pixels) {
  const x = prepare(model.preprocessing, pixels, product(model.inputShape));
  let values = x;
  const layers = model.layers.map((layer) => {
    const input = values;
    values = apply(layer, input);
    return { ...layer, input, output: values };
  });
  return { x, layers, output: values };
}

function apply(layer, x) {
  if (layer.type === "Dense") return dense(layer, x);
  if (layer.type === "Flatten") return x;
  if (layer.type === "Softmax") return softmax(x);
  return x.map(layer.f);
}

/** y = x W + b, with W (inputs, units) row by row; inputs that are zero are passed over. */
function dense({ W, b, units }, x) {
  const y = Float64Array.from(b);
  for (let i = 0; i < x.length; i++) {
    const xi = x[i];
    if (xi === 0) continue;
    const row = i * units;
    for (let j = 0; j < units; j++) y[j] += xi * W[row + j];
  }
  return y;
}

function softmax(z) {
  const most = z.reduce((a, b) => Math.max(a, b), -Infinity);
  const shares = z.map((value) => Math.exp(value - most));
  const sum = shares.reduce((a, b) => a + b, 0);
  return shares.map((share) => share / sum);
}

/** 1 / (1 + exp(-z)), written so that it cannot overflow. */
function sigmoid(z) {
  return 0.5 * (1 + Math.tanh(0.5 * z));
}

/** z Phi(z) = max(z, 0) - |z| Q(|z|): the exact form. */
function gelu(z) {
  const size = Math.abs(z);
  return size > 40 ? Math.max(z, 0) : Math.max(z, 0) - size * normalTail(size);
}

/** Upper tail of the normal distribution for a >= 0, Q(a) = exp(-a^2/2) P(u) / (1 + a) with u = (a - 4) / (a + 4). */
function normalTail(a) {
  const u = (a - 4) / (a + 4);
  const p = TAIL_COEFFICIENTS.reduce((sum, c) => sum * u + c, 0);
  return (Math.exp(-0.5 * a * a) * p) / (1 + a);
}

/** x = scale raw, or 1 - that, less the mean: rounded to float32 at each step, as glassnet does. */
function prepare({ scale, invert, mean }, pixels, count) {
  if (pixels.length !== count) {
    throw new Error(`The picture has ${pixels.length} numbers, and the network takes ${count}.`);
  }
  const round = Math.fround;
  const meanOf = Array.isArray(mean) ? (i) => round(mean[i]) : () => round(mean);
  return Float64Array.from(pixels, (raw, i) => {
    const u = round(round(scale) * raw);
    return round((invert ? round(1 - u) : u) - meanOf(i));
  });
}

function splitFile(buffer) {
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength < 8) {
    throw new Error("The weights are no safetensors file: they are shorter than 8 bytes.");
  }
  const length = new DataView(buffer).getBigUint64(0, true);
  if (length > BigInt(Math.min(MOST_HEADER_BYTES, buffer.byteLength - 8))) {
    throw new Error("The weights are cut off or damaged: their header is longer than the file, or than 1 MB.");
  }
  const end = 8 + Number(length);
  const header = parseJson(new TextDecoder().decode(new Uint8Array(buffer, 8, Number(length))), "header");
  return { header, data: buffer.slice(end) };
}

function parseJson(text, what) {
  let value = null;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(`The ${what} of the weights is not JSON.`);
  }
  if (!isRecord(value)) throw new Error(`The ${what} of the weights is no JSON object.`);
  return value;
}

function readAbout(header) {
  const text = header.__metadata__?.glassnet;
  if (typeof text !== "string") throw new Error("The weights lack the description that glassnet writes with them.");
  return parseJson(text, "description");
}

function readTensors(header, data) {
  const tensors = new Map();
  for (const [name, entry] of Object.entries(header)) {
    if (name !== "__metadata__") tensors.set(name, readTensor(name, entry, data));
  }
  return tensors;
}

function readTensor(name, entry, data) {
  const { dtype, shape, data_offsets: offsets } = isRecord(entry) ? entry : {};
  if (dtype !== "F32") throw new Error(`The array ${name} is of type ${dtype}, and the page reads F32.`);
  if (!isList(shape, isCount)) throw new Error(`The array ${name} has no valid shape.`);
  if (!isList(offsets, isCount) || offsets.length !== 2) throw new Error(`The array ${name} has no valid place.`);
  const [start, end] = offsets;
  if (end > data.byteLength || end - start !== 4 * product(shape)) {
    throw new Error(`The array ${name} does not fit into the file: ${start} to ${end} for shape [${shape}].`);
  }
  return { shape, values: new Float32Array(data.slice(start, end)) };
}

function readInputShape(shape) {
  if (!isList(shape, isCount) || product(shape) < 1) {
    throw new Error("The input shape of the weights is no list of whole numbers.");
  }
  return shape;
}

function readClassNames(names, outputs) {
  if (names === null || names === undefined) return Array.from({ length: outputs }, (_, i) => String(i));
  if (!isList(names, (name) => typeof name === "string") || names.length !== outputs) {
    throw new Error(`The class names of the weights are not ${outputs} texts, one for each output.`);
  }
  return names;
}

function readPreprocessing(about, inputs) {
  const { scale, invert, mean } = isRecord(about) ? about : {};
  const meanFits = Number.isFinite(mean) || (isList(mean, Number.isFinite) && mean.length === inputs);
  if (!Number.isFinite(scale) || typeof invert !== "boolean" || !meanFits) {
    throw new Error("The preprocessing of the weights is missing or makes no sense.");
  }
  return { scale, invert, mean };
}

/** Builds the layers from the first on, each checked against its arrays; names count by type, as in glassnet. */
function buildLayers(descriptions, inputs, tensors) {
  if (!isList(descriptions, isRecord) || descriptions.length < 1 || descriptions.length > MOST_LAYERS) {
    throw new Error(`The layers of the weights are no list of 1 to ${MOST_LAYERS} layers.`);
  }
  const counts = {};
  let units = inputs;
  const layers = descriptions.map((about) => {
    const kind = String(about.type).toLowerCase();
    counts[kind] = (counts[kind] ?? 0) + 1;
    const layer = buildLayer(about, `${kind}_${counts[kind]}`, units, tensors);
    units = layer.units;
    return layer;
  });
  if (tensors.size) throw new Error(`The array ${[...tensors.keys()][0]} belongs to no layer.`);
  return layers;
}

function buildLayer(about, name, inputs, tensors) {
  const { type } = about;
  const layer = { name, type, inputs, units: inputs };
  if (type === "Dense") {
    if (!isCount(about.units) || about.units < 1) throw new Error(`The layer ${name} has no valid number of units.`);
    const W = take(tensors, `${name}.W`, [inputs, about.units]);
    const b = take(tensors, `${name}.b`, [about.units]);
    return { ...layer, units: about.units, W, b };
  }
  if (type === "Flatten" || type === "Softmax") return layer;
  if (!Object.hasOwn(POINTWISE, type)) throw new Error(`The page knows no layer of type ${type}.`);
  if (type !== "LeakyReLU" && type !== "ELU") return { ...layer, f: POINTWISE[type](about) };
  if (!Number.isFinite(about.alpha)) throw new Error(`The layer ${name} has no valid alpha.`);
  return { ...layer, alpha: about.alpha, f: POINTWISE[type](about) };
}

function take(tensors, name, shape) {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`The array ${name} is missing from the weights.`);
  if (String(tensor.shape) !== String(shape)) {
    throw new Error(`The array ${name} has shape [${tensor.shape}], and its layer needs [${shape}].`);
  }
  tensors.delete(name);
  return tensor.values;
}

function product(shape) {
  return shape.reduce((a, b) => a * b, 1);
}

function isRecord(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value) {
  return Number.isSafeInteger(value) && value >= 0;
}

function isList(value, fits) {
  return Array.isArray(value) && value.every((item) => fits(item));
}
