// Numbers as the room Step writes them, and small work on arrays of them.

export const SIDE = 28;

/** Writes a number with the digits that matter, as `glassnet explain` does: "0.1235", "−1,234.6", "1.23e−07", "0". */
export function number(value) {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return String(value).replace("-", "−");
  const [size, sign] = [Math.abs(value), value < 0 ? "−" : ""];
  if (size < 1e-3) return sign + size.toExponential(2).replace(/e-(\d)$/, "e-0$1").replace("-", "−");
  if (size < 1e3) return sign + size.toFixed(4);
  return sign + size.toLocaleString("en-GB", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
}

export function signed(value) {
  return value > 0 ? `+${number(value)}` : number(value);
}

export function bracketed(value) {
  return value < 0 ? `(${number(value)})` : number(value);
}

/** Returns the right side of an equation with numbers in the places of letters. */
export function filled(equation, numbers) {
  const right = equation.text.split(" = ").slice(1).join(" = ").replaceAll("⊙", "·");
  return right.replace(new RegExp(Object.keys(numbers).join("|"), "g"), (name) => bracketed(numbers[name]));
}

export function countNonzero(numbers) {
  return numbers.reduce((count, value) => count + (value !== 0 ? 1 : 0), 0);
}

/** Returns where the largest number is, by a size that may be another than itself. */
export function indexOfMost(numbers, size = (value) => value) {
  let [best, most] = [0, -Infinity];
  numbers.forEach((value, i) => {
    const own = size(value, i);
    if (own > most) [best, most] = [i, own];
  });
  return best;
}

export function strided(numbers, start, step) {
  const length = Math.ceil((numbers.length - start) / step);
  return Float32Array.from({ length }, (_, i) => numbers[start + i * step]);
}

export function randomOf(list) {
  return list[Math.floor(list.length * Math.random())];
}
