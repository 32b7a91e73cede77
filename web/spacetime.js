// SPDX-License-Identifier: GPL-3.0-or-later
// Shows on our nodes what they say about the clip: after a run what they reported, and on Empty Spacetime Latent at
// every change which legal clip its values mean. The arithmetic is the server's; nothing is computed here.

import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { translated, wordsOf } from "./words.js";

const EMPTY_LATENT = "SpacetimeEmptyLatent";
const LINE = "clip";
const ROW = 16, MOST = 160; // pixels: a row of text, and the most that a text gets before it scrolls
const say = wordsOf("clip");

function rowsOf(text, width) {
  const wide = (line) => [...line].reduce((sum, letter) => sum + (letter > "\u2e7f" ? 12 : 6.4), 0);
  return text.split("\n").reduce((sum, line) => sum + Math.max(1, Math.ceil(wide(line) / (width - 24))), 0);
}

function showText(node, text) {
  let line = node.widgets?.find((widget) => widget.name === LINE);
  if (!line) {
    const element = document.createElement("div");
    element.style.cssText = "font: 12px sans-serif; opacity: 0.8; padding: 4px 8px; overflow: auto; text-align: center; white-space: pre-wrap;";
    const height = () => Math.min(MOST, ROW * rowsOf(element.textContent, node.size[0]) + 24);
    const still = { serialize: false, hideOnZoom: false, getValue: () => element.textContent, setValue: () => {} };
    line = node.addDOMWidget(LINE, "spacetimeText", element, { ...still, getMinHeight: height, getMaxHeight: height });
    line.serialize = false;
  }
  line.element.textContent = translated("says", text, ", ");
  line.element.style.textAlign = rowsOf(line.element.textContent, node.size[0]) > 2 ? "left" : "center";
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
  node.setDirtyCanvas?.(true, true);
}

function isLinked(node) {
  return (node.inputs ?? []).some((input) => input.link != null);
}

async function describeClip(node) {
  if (isLinked(node)) {
    showText(node, say("connected"));
    return;
  }
  const wishes = node.widgets.filter((widget) => widget.name !== LINE).map((widget) => [widget.name, widget.value]);
  const turn = (node.spacetimeTurn = (node.spacetimeTurn ?? 0) + 1);
  const answer = await api.fetchApi(`/spacetime/clip?${new URLSearchParams(wishes)}`);
  if (turn === node.spacetimeTurn) showText(node, await answer.text());
}

function describeOnChange(node) {
  const refresh = () => describeClip(node).catch((error) => console.warn("Spacetime: the clip could not be described.", error));
  for (const widget of node.widgets ?? []) {
    const before = widget.callback;
    widget.callback = function (...args) {
      const result = before?.apply(this, args);
      refresh();
      return result;
    };
  }
  const connections = node.onConnectionsChange;
  node.onConnectionsChange = function (...args) {
    const result = connections?.apply(this, args);
    refresh();
    return result;
  };
  const configured = node.onConfigure;
  node.onConfigure = function (...args) {
    const result = configured?.apply(this, args);
    refresh();
    return result;
  };
  refresh();
}

app.registerExtension({
  name: "Spacetime.ClipText",
  nodeCreated(node) {
    if (!node.comfyClass?.startsWith("Spacetime")) return;
    const executed = node.onExecuted;
    node.onExecuted = function (output) {
      executed?.apply(this, arguments);
      if (output?.text?.length) showText(this, output.text.join("\n"));
    };
    const resized = node.onResize;
    node.onResize = function (...args) {
      resized?.apply(this, args);
      requestAnimationFrame(() => this.setDirtyCanvas?.(true, true)); // a node that grows for its preview while it is drawn
    };
    if (node.comfyClass === EMPTY_LATENT) describeOnChange(node);
  },
});
