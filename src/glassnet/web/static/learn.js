// The room Learn: up to four configurations race each other; their curves, and the insides of the chosen one, live.

import { make, percent, setText, swatch } from "./charts.js";
import { Curves } from "./learn-curves.js";
import { describe, raceKey, StartingGrid } from "./learn-forms.js";
import { Insides } from "./learn-insides.js";
import { attempt, fillList, shown } from "./learn-parts.js";
import { grouped } from "./pictures.js";

const COLUMNS = [
  "Racer", "Epochs", "Steps", "Steps a second", "Training loss", "Validation accuracy", "Test accuracy", "Parameters",
];

const PAGE = `
<div class="learn-room">
  <section class="learn-side" aria-labelledby="learn-racers-head">
    <h2 id="learn-racers-head">Racers</h2>
    <div class="learn-racers"></div>
    <div class="learn-row">
      <button type="button" class="learn-start primary" disabled>Start this race</button>
      <button type="button" class="learn-add">Add a racer</button>
    </div>
    <p class="learn-hint learn-pending" role="status"></p>
  </section>
  <div class="learn-main">
    <section aria-labelledby="learn-race-head">
      <h2 id="learn-race-head">The race</h2>
      <div class="learn-row" role="group" aria-label="Training">
        <button type="button" class="learn-play primary">Play</button>
        <button type="button" data-action="step">One step</button>
        <button type="button" data-action="epoch">One epoch</button>
        <button type="button" data-action="reset">Reset</button>
        <p class="learn-status" role="status"></p>
      </div>
      <div class="learn-box" role="region" aria-labelledby="learn-table-caption" tabindex="0">
        <table class="learn-table">
          <caption id="learn-table-caption">The chosen racer is the one that is looked into below, and in the rooms Draw
            and Step.</caption>
          <thead><tr></tr></thead>
          <tbody></tbody>
        </table>
      </div>
      <ul class="learn-notes" aria-live="polite"></ul>
    </section>
    <section aria-labelledby="learn-curves-head">
      <h2 id="learn-curves-head">Curves</h2>
      <ul class="learn-legend"></ul>
      <div class="learn-charts">
        <figure>
          <figcaption>Loss</figcaption>
          <canvas class="learn-curve" role="img" aria-label="Loss by epochs"></canvas>
          <label class="learn-check"><input type="checkbox" class="learn-log"> logarithmic</label>
          <span class="learn-hint learn-cut"></span>
        </figure>
        <figure>
          <figcaption>Accuracy</figcaption>
          <canvas class="learn-curve" role="img" aria-label="Accuracy by epochs"></canvas>
          <label class="learn-check"><input type="checkbox" class="learn-top"> from 90&nbsp;% on</label>
        </figure>
      </div>
      <div class="learn-read">
        <label for="learn-read-at">Read the curves at</label>
        <input type="range" id="learn-read-at" min="0" max="100" value="100" step="0.5" disabled>
        <ul class="learn-readings"></ul>
      </div>
    </section>
    <section class="learn-insides" aria-labelledby="learn-insides-head">
      <h2 id="learn-insides-head">Inside</h2>
      <ul class="learn-advice" aria-live="polite"></ul>
      <figure class="learn-weights">
        <figcaption>What the units of the first layer look for</figcaption>
        <canvas role="img" aria-label="Weights of the first layer"></canvas>
        <p class="learn-hint"></p>
      </figure>
      <div class="learn-layers"></div>
    </section>
  </div>
</div>`;

/** Fills the room; see the rooms' common form in app.js. */
export function mountLearn(root, context) {
  root.innerHTML = PAGE;
  const grid = new StartingGrid(root.querySelector(".learn-side"), context);
  const controls = new Controls(root, context);
  const table = new Table(root, context);
  const curves = new Curves(root);
  const insides = new Insides(root.querySelector(".learn-insides"), context);
  const update = (state) => {
    grid.update(state);
    controls.update(state);
    table.update(state);
    curves.update(state);
    insides.update();
  };
  context.on("points", (event) => curves.take(event));
  context.on("chosen", () => {
    table.choose();
    insides.update();
  });
  if (context.state()) update(context.state());
  return {
    show: () => insides.setShown(true),
    hide: () => insides.setShown(false),
    update,
  };
}

/** Play, pause and the other buttons of the race. */
class Controls {
  constructor(root, context) {
    this.play = root.querySelector(".learn-play");
    this.status = root.querySelector(".learn-status");
    this.actions = [...root.querySelectorAll("[data-action]")];
    this.play.addEventListener("click", () => this.run(context, this.play.dataset.action));
    for (const button of this.actions) {
      button.addEventListener("click", () => this.run(context, button.dataset.action));
      button.disabled = true;
    }
    this.play.disabled = true;
    this.play.dataset.action = "play";
  }

  run(context, action) {
    return attempt(context, () => context.run(action));
  }

  update({ playing, busy, racers }) {
    const none = !racers.length || racers.every(({ diverged }) => diverged);
    this.play.dataset.action = playing || busy ? "pause" : "play";
    setText(this.play, busy ? "Stop there" : playing ? "Pause" : "Play");
    this.play.disabled = none;
    for (const button of this.actions) {
      button.disabled = !racers.length || Boolean(busy) || (none && button.dataset.action !== "reset");
    }
    const going = busy ? "Training to where it was…" : playing ? "Training." : "Paused.";
    setText(this.status, racers.length ? going : "No race yet.");
  }
}

/** One row a racer: how far and how good it is. */
class Table {
  constructor(root, context) {
    this.context = context;
    this.body = root.querySelector(".learn-table tbody");
    this.notes = root.querySelector(".learn-notes");
    root.querySelector(".learn-table thead tr").append(...COLUMNS.map((name) => headCell(name, "col")));
    this.body.addEventListener("change", ({ target }) => context.choose(Number(target.value)));
  }

  update({ racers }) {
    const key = raceKey(racers.map(({ config }) => config), this.context.facts);
    if (key !== this.key) this.rebuild(racers);
    this.key = key;
    const best = racers.length > 1 ? Math.max(...racers.map((racer) => racer.test_accuracy ?? 0)) : NaN;
    racers.forEach((racer, i) => {
      cellsOf(racer).forEach((text, column) => setText(this.body.rows[i].cells[column + 1], text));
      this.body.rows[i].classList.toggle("learn-best", racer.test_accuracy === best);
    });
    this.showNotes(racers);
  }

  rebuild(racers) {
    this.body.replaceChildren(...racers.map(({ config }, i) => {
      const row = make("tr");
      const head = headCell("", "row");
      const label = make("label", "learn-choice");
      const radio = make("input");
      Object.assign(radio, { type: "radio", name: "learn-chosen", value: i, checked: i === this.context.chosen() });
      label.append(radio, swatch(i), make("span", "learn-name", `Racer ${i + 1}`));
      head.append(label, make("span", "learn-hint", describe(config, this.context.facts)));
      row.append(head, ...COLUMNS.slice(1).map(() => make("td")));
      return row;
    }));
  }

  choose() {
    const radio = this.body.querySelectorAll("input")[this.context.chosen()];
    if (radio) radio.checked = true;
  }

  showNotes(racers) {
    const notes = racers.flatMap(({ diverged, taught }, i) => [
      ...(diverged ? [`Racer ${i + 1} has stopped: ${diverged}`] : []),
      ...(taught ? [`Racer ${i + 1} was taught ${taught} ${taught === 1 ? "digit" : "digits"} in the room Draw.`] : []),
    ]);
    fillList(this.notes, notes);
  }
}

function headCell(text, scope) {
  const cell = make("th", "", text);
  cell.scope = scope;
  return cell;
}

/** Returns the texts of a racer's row, in the order of `COLUMNS`. */
function cellsOf(racer) {
  return [
    racer.epochs.toFixed(2),
    grouped(racer.step),
    racer.steps_per_second ? grouped(Math.round(racer.steps_per_second)) : "–",
    shown(racer.train_loss, (loss) => loss.toFixed(4)),
    shown(racer.validation_accuracy, percent),
    shown(racer.test_accuracy, percent),
    grouped(racer.parameters),
  ];
}
