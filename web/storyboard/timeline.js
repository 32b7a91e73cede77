// SPDX-License-Identifier: GPL-3.0-or-later
// The timeline of a storyboard: shots as blocks to drag, their ends to pull, and the fields of the chosen one.
// It draws a Board and changes it; where text and pictures are kept is the caller's business.

import { CUT, TRANSITIONS, round } from "./board.js";

const STEP = 0.25; // seconds to which lengths snap
const FINE = 0.05; // with Shift
const STILL = 4; // pixels below which a press is no drag
const SIGNS = { cut: "✂", continue: "→", glide: "≈" };

function make(tag, name, values = {}, ...children) {
  const element = Object.assign(document.createElement(tag), values);
  if (name) element.className = `spacetime-${name}`;
  element.append(...children);
  return element;
}

const ICONS = {
  picture: "M2 3h12v10H2zM2 11l4-4 3 3 2-2 3 3M10.5 5.6v.2",
  add: "M8 3v10M3 8h10",
  remove: "M3 4.5h10M6 4V2.5h4V4M4.5 4.5l.6 9h5.8l.6-9M6.8 7v4M9.2 7v4",
};

function button(icon, title) {
  const element = make("button", "", { type: "button", title });
  element.innerHTML = `<svg viewBox="0 0 16 16"><path d="${ICONS[icon]}"/></svg>`;
  return element;
}

export class Timeline {
  // say: (key, values) => words; changed: () => void, after each edit; upload: async file => name of the picture;
  // address: shot => URL of the picture to show in it, or ""
  constructor({ say, changed, upload, address }) {
    Object.assign(this, { say, changed, upload, address });
    this.chosen = 0;
    this.track = make("div", "track", { role: "listbox", tabIndex: 0 });
    this.ruler = make("div", "ruler");
    this.message = make("div", "message", { role: "alert" });
    this.fields = this.#makeFields();
    this.element = make("div", "timeline", {}, this.track, this.ruler, this.fields, this.message);
    this.#keepEventsHere();
    this.track.addEventListener("keydown", (event) => this.#key(event));
    this.track.addEventListener("pointerdown", (event) => this.#press(event));
    this.track.addEventListener("dblclick", () => this.prompt.focus());
  }

  show(board) {
    this.board = board;
    this.chosen = Math.min(this.chosen, board.shots.length - 1);
    this.element.classList.remove("spacetime-wrong");
    this.message.textContent = "";
    this.draw();
  }

  complain(text) {
    this.element.classList.add("spacetime-wrong");
    this.message.textContent = text;
  }

  // Blocks stay the same elements, so that a press on one is not lost when leaving a field redraws them.
  draw() {
    const { length } = this.board.shots;
    while (this.track.children.length > length) this.track.lastChild.remove();
    while (this.track.children.length < length) this.track.append(this.#makeBlock(this.track.children.length));
    [...this.track.children].forEach((block, index) => this.#fillBlock(block, index));
    this.#drawRuler();
    this.#fillFields();
  }

  #makeBlock(index) {
    const frame = make("img", "frame", { alt: "", draggable: false, hidden: true });
    frame.addEventListener("error", () => (frame.hidden = true));
    const sign = make("button", "sign", { type: "button", tabIndex: -1, hidden: index === 0 });
    sign.addEventListener("click", () => this.#turn(index));
    const edge = make("div", "edge", { title: this.say("length") });
    const block = make("div", "shot", { role: "option" }, frame, make("div", "label"), make("div", "words"), sign, edge);
    block.dataset.index = index;
    block.addEventListener("dragover", (event) => event.preventDefault());
    block.addEventListener("drop", (event) => this.#dropPicture(event, index));
    return block;
  }

  #fillBlock(block, index) {
    const shot = this.board.shots[index];
    const how = this.board.transition(index);
    const [frame, label, words, sign] = block.children;
    block.classList.remove("spacetime-dragged");
    block.style.cssText = `flex-grow: ${shot.seconds}`;
    block.title = shot.prompt;
    block.setAttribute("aria-selected", index === this.chosen);
    label.textContent = `${round(shot.seconds)} s`;
    words.textContent = shot.prompt;
    const address = this.address(shot);
    if (frame.getAttribute("src") !== address) {
      frame.hidden = !address;
      frame.setAttribute("src", address);
    }
    sign.textContent = SIGNS[how];
    sign.title = this.say("turn", { how: this.say(how) });
    sign.dataset.how = how;
  }

  #drawRuler() {
    const total = this.board.seconds;
    const step = [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find((seconds) => total / seconds <= 9) ?? total;
    const ticks = [];
    for (let time = 0; time < total - step / 3; time += step) {
      const tick = make("span", "", { textContent: `${round(time)}` });
      tick.style.left = `${(100 * time) / total}%`;
      ticks.push(tick);
    }
    this.ruler.replaceChildren(...ticks);
    this.summary.textContent = this.say("summary", { count: this.board.shots.length, seconds: total });
  }

  #makeFields() {
    const { say } = this;
    this.how = make("select", "", { title: say("transition") });
    this.how.append(...TRANSITIONS.map((how) => make("option", "", { value: how, textContent: `${SIGNS[how]} ${say(how)}` })));
    this.seconds = make("input", "", { type: "number", min: FINE, step: STEP, title: say("seconds") });
    this.file = make("input", "", { type: "file", accept: "image/*", hidden: true });
    this.picture = button("picture", say("picture"));
    const add = button("add", say("add"));
    this.drop = button("remove", say("remove"));
    this.summary = make("span", "summary");
    this.prompt = make("textarea", "", { rows: 2, placeholder: say("prompt") });

    this.how.addEventListener("change", () => this.#edit({ transition: this.how.value }));
    this.seconds.addEventListener("change", () => this.#edit({ seconds: Math.max(FINE, round(Number(this.seconds.value) || 1)) }));
    this.prompt.addEventListener("input", () => this.#edit({ prompt: this.prompt.value }, false));
    add.addEventListener("click", () => this.#add());
    this.drop.addEventListener("click", () => this.#remove());
    this.picture.addEventListener("click", () => {
      if (this.board.shots[this.chosen].picture) this.#edit({ picture: "" });
      else this.file.click();
    });
    this.file.addEventListener("change", () => this.#take(this.file.files[0], this.chosen));
    return make("div", "fields", {}, this.how, this.seconds, "s", this.picture, this.file, add, this.drop, this.summary, this.prompt);
  }

  #fillFields() {
    const shot = this.board.shots[this.chosen];
    const how = this.board.transition(this.chosen);
    this.how.value = how;
    this.how.disabled = this.chosen === 0;
    this.seconds.value = round(shot.seconds);
    if (document.activeElement !== this.prompt || this.prompt.value.trim() !== shot.prompt) this.prompt.value = shot.prompt;
    this.picture.disabled = how !== CUT;
    this.picture.classList.toggle("spacetime-on", Boolean(shot.picture) && how === CUT);
    this.picture.title = shot.picture && how === CUT ? this.say("clear", { name: shot.picture }) : this.say("picture");
    this.drop.disabled = this.board.shots.length === 1;
  }

  #edit(values, redraw = true) {
    this.board.change(this.chosen, values);
    this.changed();
    if (redraw) this.draw();
    else this.track.children[this.chosen].querySelector(".spacetime-words").textContent = values.prompt;
  }

  #choose(index) {
    this.chosen = Math.max(0, Math.min(index, this.board.shots.length - 1));
    this.draw();
  }

  #turn(index) {
    const next = TRANSITIONS[(TRANSITIONS.indexOf(this.board.transition(index)) + 1) % TRANSITIONS.length];
    this.chosen = index;
    this.#edit({ transition: next });
  }

  #add() {
    const { seconds, prompt } = this.board.shots[this.chosen];
    this.board.insert(this.chosen + 1, { seconds, prompt, transition: CUT });
    this.chosen += 1;
    this.changed();
    this.draw();
    this.prompt.select();
  }

  #remove() {
    if (this.board.shots.length === 1) return;
    this.board.remove(this.chosen);
    this.changed();
    this.#choose(this.chosen);
  }

  #move(from, to) {
    this.board.move(from, to);
    this.chosen = to;
    this.changed();
    this.draw();
  }

  #key(event) {
    const last = this.board.shots.length - 1;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && event.altKey) {
      const to = this.chosen + by;
      if (to >= 0 && to <= last) this.#move(this.chosen, to);
    } else if (by) this.#choose(this.chosen + by);
    else if (event.key === "Delete" || event.key === "Backspace") this.#remove();
    else if (event.key === "Enter") this.prompt.focus();
    else if (event.key === "+" || event.key === "-") this.#edit({ seconds: this.#lengthened(this.chosen, event.key === "+" ? STEP : -STEP) });
    else return;
    event.preventDefault();
  }

  // A shot's length after adding seconds, snapped to a step.
  #lengthened(index, seconds, step = STEP) {
    return Math.max(step, round(Math.round((this.board.shots[index].seconds + seconds) / step) * step));
  }

  #press(event) {
    const block = event.target.closest(".spacetime-shot");
    if (event.button !== 0 || !block || event.target.closest("button")) return;
    event.preventDefault();
    const index = Number(block.dataset.index);
    this.#choose(index);
    this.track.focus({ preventScroll: true });
    if (event.target.closest(".spacetime-edge")) this.#pull(event, index);
    else this.#drag(event, index);
  }

  // Follow the pointer until it is let go; the element may be scaled by the canvas, so pixels are the screen's.
  #follow(event, move, done) {
    const events = new AbortController();
    const options = { signal: events.signal };
    this.track.setPointerCapture(event.pointerId);
    this.track.addEventListener("pointermove", (next) => move(next), options);
    for (const kind of ["pointerup", "pointercancel"]) {
      this.track.addEventListener(kind, (next) => {
        events.abort();
        done(next, kind === "pointerup");
      }, options);
    }
  }

  // Pull the end of a shot. The scale stays until it is let go, so that the end stays under the pointer.
  #pull(event, index) {
    const before = this.board.shots[index].seconds;
    const width = this.track.getBoundingClientRect().width;
    const scale = this.board.seconds / width;
    const total = this.board.seconds;
    const blocks = [...this.track.children];
    blocks.forEach((block, at) => (block.style.flex = `0 0 ${(100 * this.board.shots[at].seconds) / total}%`));
    let seconds = before;
    const move = (next) => {
      seconds = this.#lengthened(index, (next.clientX - event.clientX) * scale, next.shiftKey ? FINE : STEP);
      blocks[index].style.flexBasis = `${(100 * seconds) / total}%`;
      blocks[index].querySelector(".spacetime-label").textContent = `${seconds} s`;
    };
    this.#follow(event, move, (_, kept) => {
      if (kept && seconds !== before) this.#edit({ seconds });
      else this.draw();
    });
  }

  // Drag a shot to another place among the others.
  #drag(event, index) {
    const blocks = [...this.track.children];
    const boxes = blocks.map((block) => block.getBoundingClientRect());
    const zoom = boxes[index].width / blocks[index].offsetWidth || 1;
    let to = index;
    const move = (next) => {
      const by = next.clientX - event.clientX;
      if (Math.abs(by) < STILL && to === index && !blocks[index].style.translate) return;
      const middle = (boxes[index].left + boxes[index].right) / 2 + by;
      to = boxes.filter((box, at) => at !== index && (box.left + box.right) / 2 < middle).length;
      blocks.forEach((block, at) => {
        const stepsAside = at === index ? by : at > index && at <= to ? -boxes[index].width : at < index && at >= to ? boxes[index].width : 0;
        block.style.translate = stepsAside ? `${stepsAside / zoom}px` : "";
      });
      blocks[index].classList.add("spacetime-dragged");
    };
    this.#follow(event, move, (_, kept) => {
      if (kept && to !== index) this.#move(index, to);
      else this.draw();
    });
  }

  #dropPicture(event, index) {
    const file = [...event.dataTransfer.files].find(({ type }) => type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    this.#take(file, index);
  }

  async #take(file, index) {
    if (!file) return;
    const shot = this.board.shots[index];
    try {
      shot.picture = await this.upload(file);
    } catch (error) {
      this.complain(String(error.message ?? error));
      return;
    }
    if (index) shot.transition = CUT;
    this.chosen = this.board.shots.indexOf(shot);
    this.file.value = "";
    this.changed();
    this.draw();
  }

  // The canvas would move the node, delete it or load a dropped picture as a workflow.
  #keepEventsHere() {
    for (const kind of ["pointerdown", "mousedown", "dblclick", "keydown", "keyup", "copy", "cut", "paste", "dragover", "drop", "contextmenu"]) {
      this.element.addEventListener(kind, (event) => event.stopPropagation());
    }
  }
}
