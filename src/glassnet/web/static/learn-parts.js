// What several parts of the room Learn share.

import { make } from "./charts.js";

/** Does something that may fail, and says why if it did. */
export async function attempt(context, action) {
  try {
    return await action();
  } catch (error) {
    context.say(error.message);
    return null;
  }
}

export function fillList(list, texts) {
  const items = [...list.children].map((item) => item.textContent);
  if (items.length === texts.length && items.every((item, i) => item === texts[i])) return;
  list.replaceChildren(...texts.map((text) => make("li", "", text)));
}

export function shown(value, write) {
  return Number.isFinite(value) ? write(value) : "–";
}
