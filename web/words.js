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

export function language() {
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

// What the server says in English, such as "33 frames, 4.12 s", in the language of the front end: the words of a part
// are templates; what fits one is said anew, anything else stays. With a separator each piece of a line is taken alone.
export function translated(part, text, separator) {
  if (language() === FALLBACK) return text;
  const say = wordsOf(part);
  const templates = Object.entries(tables[FALLBACK]?.spacetime?.[part] ?? {});
  const patterns = templates.map(([key, template]) => [key, patternOf(template)]);
  const again = (piece) => {
    for (const [key, pattern] of patterns) {
      const found = piece.match(pattern);
      if (!found) continue;
      const values = Object.entries(found.groups ?? {}).map(([name, value]) => [name, again(value)]);
      return say(key, Object.fromEntries(values));
    }
    return piece;
  };
  if (!separator) return again(text);
  const joined = language().startsWith("zh") ? "，" : separator;
  return text.split("\n").map((line) => line.split(separator).map(again).join(joined)).join("\n");
}

// A template as an expression with a group for each name. That of a number is called blank0, blank1 ... and takes what
// it can, since it may be a whole sentence.
export function patternOf(template) {
  const escaped = template.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const named = (_, name) => (/^\d/.test(name) ? `(?<blank${name}>[^]+)` : `(?<${name}>.+?)`);
  return new RegExp(`^${escaped.replace(/\\\{(\w+)\\\}/g, named)}$`);
}
