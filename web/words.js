// SPDX-License-Identifier: GPL-3.0-or-later
// The words of our widgets in the language of the front end, from locales/<language>/main.json ("spacetime").

import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";

const FALLBACK = "en";
let tables = {};

export async function loadWords() {
  try {
    tables = await api.getCustomNodesI18n();
  } catch (error) {
    console.warn("Spacetime: the translations could not be loaded.", error);
  }
}

function language() {
  return app.extensionManager?.setting?.get("Comfy.Locale") ?? FALLBACK;
}

// The words of a part ("timeline") by key; {name} in them is replaced by the value of that name.
export function wordsOf(part) {
  return (key, values = {}) => {
    const table = (code) => tables[code]?.spacetime?.[part]?.[key];
    const text = table(language()) ?? table(language().split("-")[0]) ?? table(FALLBACK) ?? key;
    return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  };
}
