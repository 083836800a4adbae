// One weight followed through a step: forward, back from the loss, to its gradient, its update, and a proof.

import { isCalm, make, percent, setText } from "./charts.js";
import { describeNumbers, paintSigned, subscript } from "./pictures.js";
import { number, signed } from "./step-numbers.js";
import { card, indexProblem, linesTable } from "./step-parts.js";
import { chain, gradientLines, KINDS, line, Proof, updateLines, verdict } from "./step-working.js";

/** One weight from the picture to its update. */
export class Follow {
  constructor(root) {
    const one = (selector) => root.querySelector(selector);
    this.section = one(".step-follow");
    [this.layer, this.i, this.j] = [one("#step-layer"), one("#step-i"), one("#step-j")];
    [this.wrong, this.story] = [one("#step-wrong"), one(".step-story")];
    this.layer.addEventListener("change", () => this.blame(Number(this.layer.value)));
    for (const input of [this.i, this.j]) input.addEventListener("input", () => this.read());
    one(".step-blamed").addEventListener("click", () => this.blame(this.k));
  }

  open(trace, model) {
    const isLike = trace.isLike(this.trace);
    this.trace = trace;
    this.proof = new Proof(trace, model);
    const options = Array.from({ length: trace.depth }, (_, at) => {
      return new Option(`W${subscript(at + 1)}, ${trace.layerName(at + 1)}`, String(at + 1));
    });
    this.layer.replaceChildren(...options);
    if (isLike) this.set(this.k, { i: this.i.value, j: this.j.value });
    else this.blame(1);
  }

  blame(k) {
    this.set(k, this.trace.mostToBlame(k));
  }

  /** Follows a weight that was chosen elsewhere on the page. */
  go(k, place) {
    this.set(k, place);
    this.layer.focus({ preventScroll: true });
    this.section.scrollIntoView({ behavior: isCalm() ? "auto" : "smooth" });
  }

  set(k, { i, j }) {
    const { rows, columns } = this.trace.get(`W${k}`);
    this.k = k;
    this.layer.value = k;
    [this.i.value, this.i.max] = [i, rows - 1];
    [this.j.value, this.j.max] = [j, columns - 1];
    this.read();
  }

  read() {
    const { rows, columns } = this.trace.get(`W${this.k}`);
    const problems = [indexProblem("i", this.i.value, rows), indexProblem("j", this.j.value, columns)];
    [this.i, this.j].forEach((input, at) => input.setAttribute("aria-invalid", String(problems[at] !== "")));
    setText(this.wrong, problems.filter(Boolean).join(" "));
    if (!problems.some(Boolean)) this.tell({ i: Number(this.i.value), j: Number(this.j.value) });
  }

  tell(place) {
    const { trace, k } = this;
    const [gradient, update] = [trace.get(`dW${k}`), trace.get(`W${k}_new`)];
    const forwardTable = linesTable(this.forwardLines(place));
    const gradientTable = linesTable(gradientLines(trace, gradient, place));
    const updateTable = linesTable(updateLines(trace, update, place));
    this.story.replaceChildren(
      card("What it does", this.forwardWords(place), trace.get(`z${k}`).equations, forwardTable),
      card("From the loss back to its sum", this.chainWords(), [], ...this.chainParts(place)),
      card("Its gradient", KINDS.weightGradient.words(), gradient.equations, gradientTable),
      card("Its update", KINDS.update.words(trace), update.equations, updateTable),
      this.proofCard(place),
    );
  }

  forwardWords({ i, j }) {
    const { trace, k } = this;
    return `It leads from ${trace.inputName(k, i)} to ${trace.unitName(k, j)}, and adds one term to its sum.`;
  }

  forwardLines({ i, j }) {
    const { trace, k } = this;
    const [x, W, answers] = [trace.into(k).value[i], trace.get(`W${k}`), trace.get(k === trace.depth ? "o" : `y${k}`)];
    const [weight, at] = [W.at({ i, j }), subscript(k)];
    return [
      line(`${trace.inputName(k, i)}, what comes in`, number(x)),
      line(`W${at}[${i},${j}], the weight`, signed(weight)),
      line(`their product, its term: ${number(x)} · ${signed(weight)}`, signed(x * weight)),
      line(`z${at}[${j}], the sum of all terms and the bias`, signed(trace.of(`z${k}`)[j])),
      line(`${answers.symbol.text}[${j}], what becomes of it`, number(answers.value[j]), true),
    ];
  }

  chainWords() {
    return this.k === this.trace.depth
      ? "The sum is a score: its blame comes straight from the loss."
      : "From the loss on, all of δ of each layer as a strip, and below it the unit with the largest part in what " +
        "comes back.";
  }

  chainParts({ j }) {
    return chain(this.trace, this.k, j).map(({ entry, lines }) => {
      const link = make("div", "step-link");
      const strip = make("canvas", "step-strip");
      strip.setAttribute("role", "img");
      strip.setAttribute("aria-label", `${entry.symbol.text}: ${describeNumbers(entry.value)}`);
      paintSigned(strip, entry.value, entry.value.length);
      link.append(strip, linesTable(lines));
      return link;
    });
  }

  proofCard(place) {
    const { trace, k, proof } = this;
    const gradient = trace.get(`dW${k}`).at(place);
    const slope = proof.slope(k, place);
    const difference = Math.abs(gradient - slope);
    const relative = difference / (Math.max(Math.abs(gradient), Math.abs(slope)) || 1);
    const [before, after] = proof.shares();
    const lines = [
      line(`(L(w + e) − L(w − e)) / 2e, w = W${subscript(k)}[${place.i},${place.j}], e = 0.00001`, signed(slope)),
      line("the gradient from above", signed(gradient)),
      line("relative difference", number(relative), true),
      line(`o[${trace.target}] before and after the whole step`, `${percent(before)} → ${percent(after)}`, true),
    ];
    const words = "Is all that right? Move the one weight a little up and down, compute the loss both times, here in " +
      `the page: the slope between must be the gradient. ${verdict(relative, difference)}`;
    return card("The proof", words, [], linesTable(lines));
  }
}
