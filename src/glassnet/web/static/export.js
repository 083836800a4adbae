// The Draw room in a file of its own: the network lies in the page, and there is no server to ask.

import { mountDraw } from "./draw.js";
import { readModel } from "./net.js";

function modelOfPage() {
  const text = document.getElementById("weights").textContent;
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return readModel(bytes.buffer);
}

function exportedContext(model, message) {
  let drawn = null;
  return {
    online: false,
    api: null,
    facts: { classes: model.classNames },
    state: () => null,
    chosen: () => 0,
    choose: () => {},
    pixels: () => drawn,
    setPixels: (pixels) => {
      drawn = pixels;
    },
    net: () => Promise.resolve(model),
    say: (sentence) => {
      message.textContent = sentence;
    },
    on: () => {},
  };
}

const exportedPage = exportedContext(modelOfPage(), document.getElementById("message"));
mountDraw(document.getElementById("draw"), exportedPage).show();
