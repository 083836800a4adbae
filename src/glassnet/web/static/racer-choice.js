// What the rooms Draw and Step have in common: which racer is looked at.

import { htmlNode } from "./draw-parts.js";
import { grouped } from "./pictures.js";

/** Which racer is looked at, where there are several. */
export class RacerChoice {
  #context;

  constructor(context) {
    this.#context = context;
    this.select = htmlNode("select", { change: () => context.choose(Number(this.select.value)) });
    this.note = htmlNode("span", { class: "draw-note" });
    this.label = htmlNode("label", {}, "Racer ", this.select);
    this.element = htmlNode("p", { class: "draw-racer" }, this.label, " ", this.note);
  }

  show() {
    const racers = this.#context.state()?.racers ?? [];
    this.element.hidden = !racers.length;
    if (!racers.length) return;
    if (this.select.options.length !== racers.length) {
      this.select.replaceChildren(...racers.map((_, i) => htmlNode("option", { value: String(i) }, String(i + 1))));
    }
    const chosen = this.#context.chosen();
    this.select.value = String(chosen);
    this.label.hidden = racers.length === 1;
    const { step, parameters } = racers[chosen];
    const name = racers.length === 1 ? "The network " : "";
    this.note.textContent = `${name}after ${grouped(step)} steps, with ${grouped(parameters)} parameters`;
  }
}
