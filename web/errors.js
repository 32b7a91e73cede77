// SPDX-License-Identifier: GPL-3.0-or-later
// Says the errors of our nodes in the language of the front end. The host sends English sentences; what fits one of the
// templates in errors/<language>.json is said anew before the front end hears of it, anything else stays.

import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { language, patternOf, translated } from "./words.js";

const LANGUAGES = ["zh", "zh-TW"]; // those with a file
const BLANK = /\{(\d+)\}/g;
const tables = {}; // by language: [{pattern, text}], the template with the most words of its own first

async function load(code) {
  const answer = await fetch(new URL(`./errors/${code}.json`, import.meta.url));
  const { sentences, words } = await answer.json();
  const own = (template) => template.replace(BLANK, "").length;
  tables[code] = Object.entries({ ...words, ...sentences })
    .sort(([a], [b]) => own(b) - own(a))
    .map(([template, text]) => ({ pattern: patternOf(template), text }));
}

// A sentence, or what was put into one: a word, a length, another sentence.
function said(text, table) {
  for (const { pattern, text: ours } of table) {
    const found = text.match(pattern);
    if (found) return ours.replace(BLANK, (_, number) => said(found.groups[`blank${number}`], table));
  }
  return ["says", "storyboard"].map((part) => translated(part, text)).find((other) => other !== text) ?? text;
}

export function translatedError(message) {
  const table = tables[language()];
  return table ? said(message.trim(), table) : message;
}

const send = api.dispatchCustomEvent;
if (send) {
  api.dispatchCustomEvent = function (type, detail) {
    if (type === "execution_error" && detail?.node_type?.startsWith("Spacetime"))
      detail = { ...detail, exception_message: translatedError(detail.exception_message ?? "") };
    return send.call(this, type, detail);
  };
}

// What a node refuses before anything runs comes back with the prompt: "<input> - <sentence>".
const queue = api.queuePrompt;
if (queue) {
  api.queuePrompt = async function (...given) {
    try {
      return await queue.apply(this, given);
    } catch (error) {
      for (const node of Object.values(error?.response?.node_errors ?? {}))
        if (node.class_type?.startsWith("Spacetime"))
          for (const refused of node.errors ?? []) refused.details = translatedRefusal(refused.details ?? "");
      throw error;
    }
  };
}

function translatedRefusal(details) {
  const [, input, sentence] = details.match(/^(\w+) - ([^]+)$/) ?? [];
  return sentence ? `${input} - ${translatedError(sentence)}` : details;
}

app.registerExtension({
  name: "Spacetime.Errors",
  async setup() {
    await Promise.all(LANGUAGES.map(load)).catch((error) => console.warn("Spacetime: errors stay English.", error));
  },
});
