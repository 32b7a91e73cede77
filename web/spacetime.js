// SPDX-License-Identifier: GPL-3.0-or-later
// Shows on our nodes what they say about the clip: after a run what they reported, and on Empty Spacetime Latent at
// every change which legal clip its values mean. The arithmetic is the server's; nothing is computed here.

import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { translated, wordsOf } from "./words.js";

const EMPTY_LATENT = "SpacetimeEmptyLatent";
const LINE = "clip";
const LONG = 110; // letters beyond which a text gets the room of a paragraph
const say = wordsOf("clip");

function showText(node, text) {
  let line = node.widgets?.find((widget) => widget.name === LINE);
  if (!line) {
    const element = document.createElement("div");
    element.style.cssText = "font: 12px sans-serif; opacity: 0.8; padding: 4px 8px; overflow: auto; text-align: center; white-space: pre-wrap;";
    const height = () => (element.textContent.length > LONG ? 160 : 40);
    const still = { serialize: false, hideOnZoom: false, getValue: () => element.textContent, setValue: () => {} };
    line = node.addDOMWidget(LINE, "spacetimeText", element, { ...still, getMinHeight: height, getMaxHeight: height });
    line.serialize = false;
  }
  line.element.textContent = translated("says", text, ", ");
  line.element.style.textAlign = text.length > LONG ? "left" : "center";
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
    if (node.comfyClass === EMPTY_LATENT) describeOnChange(node);
  },
});
