// SPDX-License-Identifier: GPL-3.0-or-later
// Puts a timeline on the Storyboard node. The text widget holds the storyboard, in the workflow and for the server;
// the timeline shows what the server reads in it and writes changes back into it at once.

import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { Board } from "./storyboard/board.js";
import { Timeline } from "./storyboard/timeline.js";
import { loadWords, translated, wordsOf } from "./words.js";

const NODE = "SpacetimeStoryboard";
const TEXT = "storyboard"; // the input that holds the text
const FRAMES = "frames"; // the property that keeps what each shot begins with, after it was sampled
const HEIGHT = 172;
const PAUSE = 250; // milliseconds after which typing counts as done

function addStyle() {
  const href = new URL("./storyboard/timeline.css", import.meta.url).href;
  document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href }));
}

function viewOf({ filename, subfolder = "", type = "input" }) {
  return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
}

function address(shot) {
  if (!shot.picture || shot.transition !== "cut") return shot.frame ? viewOf(shot.frame) : "";
  const [, path, type] = shot.picture.match(/^(.*?)(?:\s*\[(input|output|temp)\])?$/);
  const at = path.lastIndexOf("/");
  return viewOf({ filename: path.slice(at + 1), subfolder: path.slice(0, Math.max(0, at)), type: type ?? "input" });
}

async function upload(file) {
  const form = new FormData();
  form.append("image", file);
  const answer = await api.fetchApi("/upload/image", { method: "POST", body: form });
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  const { name, subfolder } = await answer.json();
  return subfolder ? `${subfolder}/${name}` : name;
}

class Editor {
  constructor(node, widget) {
    Object.assign(this, { node, widget, turn: 0 });
    this.timeline = new Timeline({ say: wordsOf("timeline"), changed: () => this.write(), upload, address });
    const still = { serialize: false, hideOnZoom: false, getValue: () => "", setValue: () => {} };
    const dom = node.addDOMWidget("timeline", "spacetimeTimeline", this.timeline.element, {
      ...still,
      getMinHeight: () => HEIGHT,
      getMaxHeight: () => 2 * HEIGHT,
    });
    dom.serialize = false;
  }

  // Read the text again; the last one to ask is the one to be answered.
  async read() {
    const turn = ++this.turn;
    const answer = await api.fetchApi("/spacetime/storyboard", { method: "POST", body: this.widget.value ?? "" });
    const data = await answer.json();
    if (turn !== this.turn) return;
    if (data.error) {
      this.timeline.complain(translated("storyboard", data.error));
      return;
    }
    this.board = new Board(data);
    this.giveFrames(this.node.properties[FRAMES] ?? []);
    this.timeline.show(this.board);
  }

  readSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.read().catch((error) => this.timeline.complain(String(error))), PAUSE);
  }

  // Write what the timeline has changed into the text.
  write() {
    this.turn += 1; // an answer under way is about an older text
    this.writing = true;
    this.widget.value = this.board.write();
    this.widget.callback?.(this.widget.value); // Vue nodes learn of it here
    this.writing = false;
    this.keepFrames();
    this.noteChange();
  }

  // Let the front end keep the workflow as it is now: for undo, and for after a reload.
  noteChange() {
    this.node.graph?.change?.();
    app.extensionManager?.workflow?.activeWorkflow?.changeTracker?.checkState?.();
  }

  giveFrames(frames) {
    const fit = frames.length === this.board.shots.length;
    this.board.shots.forEach((shot, index) => (shot.frame = fit ? frames[index] : undefined));
  }

  keepFrames() {
    const frames = this.board.shots.map(({ frame }) => frame ?? null);
    if (frames.some(Boolean)) this.node.properties[FRAMES] = frames;
    else delete this.node.properties[FRAMES];
  }

  // What each shot begins with, from the node that has sampled them.
  showFrames(frames) {
    if (!this.board || frames.length !== this.board.shots.length) return;
    this.giveFrames(frames);
    this.keepFrames();
    this.noteChange();
    this.timeline.draw();
  }
}

function after(object, name, action) {
  const before = object[name];
  object[name] = function (...values) {
    const result = before?.apply(this, values);
    action(...values);
    return result;
  };
}

function addTimeline(node) {
  const widget = node.widgets?.find(({ name }) => name === TEXT);
  if (!widget) return;
  const editor = (node.spacetimeStoryboard = new Editor(node, widget));
  after(widget, "callback", () => editor.writing || editor.readSoon());
  after(node, "onConfigure", () => editor.readSoon());
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width, 460), Math.max(node.size[1], height, HEIGHT + 240)]);
  editor.readSoon();
}

// The storyboards whose text reaches a node directly.
function storyboardsOf(node) {
  const origins = (node.inputs ?? []).map((_, slot) => node.getInputNode?.(slot));
  return origins.filter((origin) => origin?.spacetimeStoryboard).map((origin) => origin.spacetimeStoryboard);
}

app.registerExtension({
  name: "Spacetime.Storyboard",
  async setup() {
    await loadWords();
  },
  async init() {
    addStyle();
  },
  nodeCreated(node) {
    if (node.comfyClass === NODE) addTimeline(node);
    else if (node.comfyClass?.startsWith("Spacetime")) {
      after(node, "onExecuted", (output) => {
        if (output?.shot_frames) storyboardsOf(node).forEach((editor) => editor.showFrames(output.shot_frames));
      });
    }
  },
});
