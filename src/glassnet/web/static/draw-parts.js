// What the parts of the Draw room share: elements, tables, and how a network is cut into layers to be looked at.

export const CELL = 14; // side of a unit's cell in a strip, in CSS pixels

/** Splits a network into its dense layers, each with what follows it: [{dense, last, name, units}, ...], as indices. */
export function stagesOf({ layers }) {
  const starts = layers.flatMap((layer, i) => (layer.type === "Dense" ? [i] : []));
  return starts.map((dense, k) => {
    const last = (starts[k + 1] ?? layers.length) - 1;
    return { dense, last, name: layers[last].name, units: layers[dense].units };
  });
}

/** Makes a table of texts; the first of each row names it. */
export function tableOf(columns, rows, caption) {
  const head = htmlNode("tr", {}, ...columns.map((name) => htmlNode("th", { scope: "col" }, name)));
  const body = rows.map(([name, ...texts]) => {
    const cells = texts.map((text) => htmlNode("td", {}, text));
    return htmlNode("tr", {}, htmlNode("th", { scope: "row" }, name), ...cells);
  });
  const parts = [htmlNode("caption", {}, caption), htmlNode("thead", {}, head), htmlNode("tbody", {}, ...body)];
  return htmlNode("table", {}, ...parts);
}

/** Makes an element with attributes, listeners (where the value is a function), and what is in it. */
export function htmlNode(tag, attributes = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...content);
  return element;
}

/** Returns the index of the largest share, or -1 if one of them is no number. */
export function bestOf(shares) {
  if (!shares.every(Number.isFinite)) return -1;
  return shares.indexOf(Math.max(...shares));
}

/** Returns how many cells stand in a row of a strip, if it is so wide. */
export function columnsFor(width, units) {
  return Math.max(1, Math.min(Math.floor((width - 1) / CELL), units, 50));
}
