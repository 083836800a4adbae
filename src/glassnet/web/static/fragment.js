// The state of the page in its address: which room, which configurations race, and how far each has trained.
//
// `#room=draw&race=[{"optimizer":"sgd"}]&steps=120`: a configuration holds only what differs from the default one. The
// server checks the values; here only the form is looked at.

const ROOMS = ["learn", "draw", "step"];

/**
 * Reads the part of an address from # on.
 *
 * @param {string} hash
 * @param {object} defaults - the default configuration
 * @returns {{room: string, configs: object[], steps: number[] | null, problem: string}} `problem` is a sentence if
 *   what stands there makes no race; `configs` then holds the default one
 */
export function readFragment(hash, defaults) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const room = ROOMS.includes(given.get("room")) ? given.get("room") : ROOMS[0];
  const configs = given.has("race") ? readConfigs(given.get("race"), defaults) : [{ ...defaults }];
  if (!configs) {
    const problem = "The race in this link can not be read: the usual one takes its place.";
    return { room, configs: [{ ...defaults }], steps: null, problem };
  }
  return { room, configs, steps: readSteps(given.get("steps"), configs.length), problem: "" };
}

/** Writes what `readFragment` reads, without the #; what is as usual is left out. */
export function writeFragment({ room, configs, steps }, defaults) {
  const wanted = new URLSearchParams({ room });
  const race = configs.map((config) => differences(config, defaults));
  if (race.length > 1 || Object.keys(race[0] ?? {}).length) wanted.set("race", JSON.stringify(race));
  if (steps?.some((step) => step > 0)) wanted.set("steps", steps.join(","));
  return wanted.toString();
}

function readConfigs(text, defaults) {
  try {
    const race = JSON.parse(text);
    const isRace = Array.isArray(race) && race.length > 0 && race.every(isRecord);
    return isRace ? race.map((config) => ({ ...defaults, ...config })) : null;
  } catch {
    return null;
  }
}

function readSteps(text, count) {
  const steps = (text ?? "").split(",");
  return steps.length === count && steps.every((step) => /^\d{1,9}$/.test(step)) ? steps.map(Number) : null;
}

function differences(config, defaults) {
  const isOther = ([name, value]) => JSON.stringify(value) !== JSON.stringify(defaults[name]);
  return Object.fromEntries(Object.entries(config).filter(isOther));
}

function isRecord(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
