// Small parts of the page that the room Step is made of: cards, tables of lines, code, cells.

import { make } from "./charts.js";
import { describeNumbers, signedColour } from "./pictures.js";
import { number } from "./step-numbers.js";

export function card(title, words, equations, ...parts) {
  const element = make("section", "step-card");
  element.append(make("h3", "", title), make("p", "", words), ...equations.map(typeset), ...parts);
  return element;
}

export function linesTable(lines) {
  const table = make("table", "step-lines");
  const body = make("tbody");
  for (const { text, value, result } of lines) {
    const row = make("tr", result ? "step-result" : "");
    const head = make("th", "", text);
    head.scope = "row";
    row.append(head, make("td", "", value));
    body.append(row);
  }
  table.append(body);
  return table;
}

export function wideCell(name, value, limit) {
  const block = make("span", "step-block");
  block.style.backgroundColor = `rgb(${signedColour(value / (limit || 1)).join()})`;
  return [make("span", "step-cell-name", name), block, make("span", "step-cell-number", number(value))];
}

/** Returns the lines of glassnet that computed an entry, and what gives the same in other frameworks. */
export function codeOf({ sources, calls }) {
  const names = { torch: "PyTorch", keras: "Keras" };
  return [
    ...sources.map(({ where, code }) => codeBlock(`glassnet, ${where}`, code, "step-source")),
    ...Object.entries(calls).map(([framework, call]) => codeBlock(names[framework] ?? framework, call)),
  ];
}

function codeBlock(head, code, className = "") {
  const [figure, block] = [make("figure", className), make("pre")];
  block.tabIndex = 0; // it may be wider than the screen
  block.setAttribute("role", "group");
  block.setAttribute("aria-label", head);
  block.append(make("code", "", code));
  figure.append(make("figcaption", "", head), block);
  return figure;
}

export function describeShown(entry, trace, unit, numbers) {
  const seen = describeNumbers(numbers);
  return entry.isMatrix ? `Of ${trace.unitName(entry.k, unit)}: ${seen}.` : `${seen}.`;
}

/** Says what is wrong with a text that should be one of `count` indices; "" if nothing is. */
export function indexProblem(what, text, count) {
  const fits = /^\d+$/.test(text) && Number(text) < count;
  return fits ? "" : `${what} is a whole number from 0 to ${count - 1}.`;
}

/** Returns an equation typeset by the browser, of the server's own MathML. */
export function typeset({ mathml }) {
  const template = document.createElement("template");
  template.innerHTML = mathml;
  const element = make("div", "step-equation");
  element.append(template.content);
  return element;
}

export function setSelected(cell, isSelected) {
  cell.setAttribute("aria-selected", String(isSelected));
  cell.tabIndex = isSelected ? 0 : -1;
}

export function mark(element, value, isCurrent) {
  if (isCurrent) element.setAttribute("aria-current", value);
  else element.removeAttribute("aria-current");
}
