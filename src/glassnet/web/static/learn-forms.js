// The forms in which racers are described, what is wrong with them, and the button that makes a race of them.

import { make, setText, swatch } from "./charts.js";
import { attempt } from "./learn-parts.js";
import { grouped } from "./pictures.js";

const INPUTS = 784;
const RATE_DIGITS = 2;
const REGIMES = { stochastic: 1, mini: 200, full: "full" };

const FORM = `
<details class="learn-racer" open>
  <summary></summary>
  <div class="learn-fields">
    <div data-field="hidden">
      <label>Hidden layers</label>
      <div class="learn-joined">
        <input type="text" inputmode="numeric" autocomplete="off" spellcheck="false" placeholder="none">
        <button type="button" data-do="less" aria-label="Remove the last hidden layer">−</button>
        <button type="button" data-do="more" aria-label="Add a hidden layer">+</button>
      </div>
      <p class="learn-hint">Units of each, from the input on</p>
    </div>
    <div data-field="activation"><label>Activation</label><select></select></div>
    <div data-field="initializer"><label>First weights</label><select></select></div>
    <div data-field="optimizer"><label>Optimizer</label><select></select></div>
    <div class="learn-settings"></div>
    <div data-field="rate">
      <label>Learning rate</label>
      <input type="text" inputmode="decimal" autocomplete="off">
      <input type="range" min="-5" max="2" step="0.01">
      <p class="learn-hint"></p>
    </div>
    <div data-field="batch">
      <label>Batch size</label>
      <input type="text" inputmode="numeric" autocomplete="off" spellcheck="false">
      <div class="learn-regimes" role="group" aria-label="Regime">
        <button type="button" data-regime="stochastic">stochastic 1</button>
        <button type="button" data-regime="mini">mini-batch 200</button>
        <button type="button" data-regime="full">batch full</button>
      </div>
    </div>
    <div data-field="seed"><label>Seed</label><input type="text" inputmode="numeric" autocomplete="off"></div>
    <button type="button" class="learn-remove">Remove this racer</button>
  </div>
</details>`;

/** The forms of all racers, and the button that makes a race of them. */
export class StartingGrid {
  constructor(root, context) {
    this.context = context;
    this.list = root.querySelector(".learn-racers");
    this.pending = root.querySelector(".learn-pending");
    this.start = root.querySelector(".learn-start");
    this.add = root.querySelector(".learn-add");
    this.start.addEventListener("click", () => this.race());
    this.add.addEventListener("click", () => this.addRacer());
    this.forms = [];
    this.running = "";
    this.load([context.facts.default]);
  }

  /** Takes over what races, unless it is what was sent from here. */
  update({ racers }) {
    const configs = racers.map(({ config }) => config);
    const running = raceKey(configs, this.context.facts);
    if (!configs.length || running === this.running) return;
    this.running = running;
    if (running !== this.sent) this.load(configs);
    this.sent = null;
    this.changed();
  }

  load(configs) {
    this.forms = configs.map((config) => this.form(config));
    this.list.replaceChildren(...this.forms.map((form) => form.element));
    this.open(configs.length === 1 ? this.forms[0] : null);
    this.changed();
  }

  form(config) {
    const actions = { changed: () => this.changed(), remove: (form) => this.removeRacer(form) };
    return new RacerForm(this.context.facts, config, actions);
  }

  open(chosen) {
    for (const form of this.forms) form.element.open = form === chosen;
  }

  addRacer() {
    const form = this.form(this.forms[this.forms.length - 1].read().config);
    this.forms.push(form);
    this.list.append(form.element);
    this.open(form);
    this.changed();
    form.focus();
  }

  removeRacer(form) {
    this.forms = this.forms.filter((one) => one !== form);
    form.element.remove();
    this.open(this.forms[this.forms.length - 1]);
    this.changed();
    this.forms[this.forms.length - 1].focus();
  }

  /** Brings names, buttons and complaints up to date with what the forms say. */
  changed() {
    const { limits } = this.context.facts;
    this.forms.forEach((form, i) => form.name(i, this.forms.length > 1));
    const found = this.forms.map((form) => form.read());
    const wrong = found.some(({ fits }) => !fits);
    const differs = wrong || raceKey(found.map(({ config }) => config), this.context.facts) !== this.running;
    this.add.disabled = this.forms.length >= limits.racers;
    this.start.disabled = !differs;
    const pending = differs && this.running !== "";
    setText(this.pending, pending ? "Changed since this race was started: start it anew to see what that does." : "");
  }

  async race() {
    const wrong = this.forms.find((form) => !form.read().fits);
    if (wrong) {
      wrong.element.open = true;
      wrong.focusWrong();
      return;
    }
    const configs = this.forms.map((form) => form.read().config);
    this.sent = raceKey(configs, this.context.facts);
    await attempt(this.context, () => this.context.race(configs));
  }
}

let formsMade = 0;

/** The form of one racer. */
class RacerForm {
  constructor(facts, config, { changed, remove }) {
    this.facts = facts;
    this.element = fromHtml(FORM);
    this.summary = this.element.querySelector("summary");
    this.prefix = `learn-racer-${++formsMade}`;
    this.settings = this.element.querySelector(".learn-settings");
    for (const field of this.element.querySelectorAll("[data-field]")) this.label(field);
    this.input("rate", "[type=range]").setAttribute("aria-label", "Learning rate, on a logarithmic slider");
    fillSelect(this.input("activation"), facts.activations);
    fillSelect(this.input("initializer"), facts.initializers);
    fillSelect(this.input("optimizer"), Object.keys(facts.optimizers));
    this.write({ ...facts.default, ...config });
    this.element.addEventListener("input", (event) => {
      this.follow(event.target);
      changed();
    });
    this.element.addEventListener("click", ({ target }) => {
      if (target.closest(".learn-remove")) remove(this);
      else if (this.press(target)) changed();
    });
  }

  /** Ties label, input, hint and complaint of a field together. */
  label(field) {
    const id = `${this.prefix}-${field.dataset.field}`;
    const input = field.querySelector("input, select");
    const complaint = make("p", "learn-wrong");
    complaint.setAttribute("aria-live", "polite");
    field.append(complaint);
    field.querySelector("label").htmlFor = input.id = id;
    const about = [...field.querySelectorAll("p")];
    about.forEach((text, i) => {
      text.id = `${id}-about-${i}`;
    });
    input.setAttribute("aria-describedby", about.map((text) => text.id).join(" "));
  }

  /** Returns the input of a field, or another part of it. */
  input(field, selector = "input, select") {
    return this.element.querySelector(`[data-field="${field}"]`).querySelector(selector);
  }

  get optimizer() {
    return this.facts.optimizers[this.input("optimizer").value];
  }

  write(config) {
    this.input("hidden").value = config.hidden.join(", ");
    this.input("activation").value = config.activation;
    this.input("initializer").value = config.initializer;
    this.input("optimizer").value = config.optimizer;
    this.input("rate").value = config.learning_rate ?? "";
    this.input("batch").value = config.batch_size;
    this.input("seed").value = config.seed;
    this.showSettings(config.settings);
    this.showRate();
    this.showRegime();
  }

  /** Brings the rest of the form in line with an input that changed. */
  follow(input) {
    const rate = this.input("rate");
    if (input === this.input("rate", "[type=range]")) rate.value = Number((10 ** input.value).toPrecision(RATE_DIGITS));
    else if (input === this.input("optimizer")) this.showSettings({});
    if (input === rate || input === this.input("optimizer")) this.showRate();
    if (input === this.input("batch")) this.showRegime();
  }

  /** Does what a button of the form says; returns whether it was one. */
  press(target) {
    const { do: what, regime } = target.dataset;
    if (regime) {
      this.input("batch").value = REGIMES[regime];
      this.showRegime();
    } else if (what) {
      const widths = this.input("hidden").value.split(/[\s,]+/).filter(Boolean);
      const longer = [...widths, widths[widths.length - 1] ?? "100"];
      this.input("hidden").value = (what === "more" ? longer : widths.slice(0, -1)).join(", ");
    }
    return Boolean(what || regime);
  }

  /** Shows the settings that the optimizer has, with the values given or its own. */
  showSettings(values) {
    const fields = Object.entries(this.optimizer.settings).map(([name, own]) => {
      const field = make("div", typeof own === "boolean" ? "learn-check" : "");
      field.dataset.field = `setting-${name}`;
      const choices = this.optimizer.choices[name];
      const input = make(choices ? "select" : "input");
      const value = values[name] ?? own;
      if (choices) {
        fillSelect(input, choices);
        input.value = value;
      } else if (typeof own === "boolean") {
        input.type = "checkbox";
        input.checked = value;
      } else {
        input.value = value;
        input.autocomplete = "off";
      }
      field.append(make("label", "", name.replaceAll("_", " ")), input);
      this.label(field);
      return field;
    });
    this.settings.replaceChildren(...fields);
    this.settings.hidden = !fields.length;
  }

  showRate() {
    const own = this.optimizer.rate;
    const typed = this.input("rate").value.trim();
    const rate = typed === "" ? own : toNumber(typed);
    const slider = this.input("rate", "[type=range]");
    this.input("rate").placeholder = own;
    if (rate > 0) {
      slider.value = Math.log10(rate);
      slider.setAttribute("aria-valuetext", String(rate));
    }
    setText(this.input("rate", ".learn-hint"), `Empty: the optimizer's own, ${own}`);
  }

  showRegime() {
    const batch = this.input("batch").value.trim();
    for (const button of this.element.querySelectorAll("[data-regime]")) {
      button.setAttribute("aria-pressed", String(batch === String(REGIMES[button.dataset.regime])));
    }
  }

  /** Reads the form and says at each field what is wrong there. */
  read() {
    const { limits } = this.facts;
    const hidden = this.field("hidden", (text) => readWidths(text, limits));
    const size = hidden ? `: ${grouped(countParameters(hidden))} parameters` : "";
    setText(this.input("hidden", ".learn-hint"), `Units of each, from the input on${size}`);
    const config = {
      hidden: hidden ?? [],
      activation: this.input("activation").value,
      initializer: this.input("initializer").value,
      optimizer: this.input("optimizer").value,
      learning_rate: this.field("rate", (text) => readRate(text, this.optimizer.rate, limits.rate)) ?? null,
      settings: this.readSettings(),
      batch_size: this.field("batch", (text) => readBatch(text, limits.batch)) ?? this.facts.default.batch_size,
      seed: this.field("seed", (text) => readCount(text, "The seed", 0, limits.seed)) ?? 0,
    };
    return { config, fits: !this.element.querySelector("[aria-invalid=true]") };
  }

  readSettings() {
    const settings = {};
    for (const [name, own] of Object.entries(this.optimizer.settings)) {
      const input = this.input(`setting-${name}`);
      const value = input.type === "checkbox"
        ? input.checked
        : this.field(`setting-${name}`, (text) => readSetting(text, name, own));
      if (value !== undefined && value !== own) settings[name] = value;
    }
    return settings;
  }

  /** Returns what `read` makes of a field's text, undefined if it complains. */
  field(name, read) {
    const input = this.input(name);
    let [value, problem] = [undefined, ""];
    try {
      value = read(input.value.trim());
    } catch (error) {
      problem = error.message;
    }
    input.setAttribute("aria-invalid", String(problem !== ""));
    setText(this.input(name, ".learn-wrong"), problem);
    return value;
  }

  /** Shows in the head which racer it is, and in short what it is like. */
  name(index, removable) {
    const title = make("span", "learn-name", `Racer ${index + 1}`);
    const what = make("span", "learn-hint", describe(this.read().config, this.facts));
    const key = `${title.textContent} ${what.textContent}`;
    this.element.querySelector(".learn-remove").hidden = !removable;
    if (key === this.named) return;
    this.named = key;
    this.summary.replaceChildren(swatch(index), title, what);
  }

  focus() {
    this.summary.focus();
  }

  focusWrong() {
    this.element.querySelector("[aria-invalid=true]").focus();
  }
}

function readWidths(text, limits) {
  const parts = text.split(/[\s,]+/).filter(Boolean);
  const widths = parts.map((part) => readCount(part, "A layer", 1, limits.width, "units"));
  if (widths.length > limits.layers) throw new Error(`At most ${limits.layers} hidden layers, not ${widths.length}.`);
  const parameters = countParameters(widths);
  if (parameters > limits.parameters) {
    throw new Error(`${grouped(parameters)} parameters are more than ${grouped(limits.parameters)}: take fewer units.`);
  }
  return widths;
}

function countParameters(widths) {
  const sizes = [INPUTS, ...widths, 10];
  return sizes.slice(1).reduce((sum, units, i) => sum + (sizes[i] + 1) * units, 0);
}

function readCount(text, what, least, most, unit = "") {
  const range = `${grouped(least)} to ${grouped(most)}`;
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  const takes = unit ? `has ${range} ${unit}` : `is a whole number from ${range}`;
  throw new Error(`${what} ${takes}, not “${text}”.`);
}

/** Returns null for the optimizer's own rate. */
function readRate(text, own, most) {
  if (text === "") return null;
  const rate = toNumber(text);
  if (!(rate > 0 && rate <= most)) throw new Error(`The rate is a number above 0, at most ${most}, not “${text}”.`);
  return rate === own ? null : rate;
}

function readBatch(text, most) {
  if (text.toLowerCase() === "full") return "full";
  try {
    return readCount(text, "A batch", 1, most, "samples");
  } catch (error) {
    throw new Error(error.message.replace(", not", ", or is “full”, not"));
  }
}

function readSetting(text, name, own) {
  if (typeof own === "string") return text;
  const value = toNumber(text);
  if (text === "" || !Number.isFinite(value)) throw new Error(`${name} is a number such as ${own}, not “${text}”.`);
  return value;
}

function toNumber(text) {
  return Number(text.replace(",", "."));
}

/** Returns what tells one race from another, however its configurations are written. */
export function raceKey(configs, facts) {
  return JSON.stringify(configs.map((config) => completed(config, facts)));
}

function completed(config, facts) {
  const full = { ...facts.default, ...config };
  const { rate, settings } = facts.optimizers[full.optimizer];
  const own = Object.entries(settings).map(([name, value]) => [name, full.settings[name] ?? value]);
  const names = Object.keys(facts.default).filter((name) => name !== "learning_rate" && name !== "settings");
  return [full.learning_rate ?? rate, own, ...names.map((name) => full[name])];
}

/** Says in short what a racer is like; what is as it is by default is left out, but for layers and optimizer. */
export function describe(config, facts) {
  const own = facts.default;
  const { hidden, activation, initializer, optimizer, settings, seed, ...rest } = { ...own, ...config };
  return [
    hidden.length ? `${hidden.join(", ")} ${activation}` : "no hidden layer",
    initializer === own.initializer ? "" : initializer,
    `${optimizer} ${rest.learning_rate ?? facts.optimizers[optimizer].rate}`,
    ...Object.entries(settings).map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`),
    `batch ${rest.batch_size}`,
    seed === own.seed ? "" : `seed ${seed}`,
  ].filter(Boolean).join(" · ");
}

function fillSelect(select, names) {
  select.replaceChildren(...names.map((name) => new Option(name)));
}

function fromHtml(html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  return template.content.firstElementChild;
}
