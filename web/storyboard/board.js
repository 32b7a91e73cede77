// SPDX-License-Identifier: GPL-3.0-or-later
// A storyboard that is being edited. The server reads the text and says where each shot stands; here a change is
// written back at those places, so that notes, the cast and line breaks around the shots stay as they are.

const DIGITS = 6; // of a second, as on the server

export const CUT = "cut";
export const TRANSITIONS = [CUT, "continue", "glide"];

export function round(seconds) {
  return Number(seconds.toFixed(DIGITS));
}

export class Board {
  // answer: what the server says of a text: {text, shots: [{seconds, prompt, transition, picture, begin, end}], cast}
  constructor(answer) {
    const characters = Array.from(answer.text); // the server counts characters, not UTF-16 units
    let at = 0;
    this.gaps = []; // the text before each shot
    this.shots = answer.shots.map(({ begin, end, ...shot }) => {
      this.gaps.push(characters.slice(at, begin).join(""));
      at = end;
      return { picture: "", ...shot };
    });
    this.tail = characters.slice(at).join("");
    this.cast = answer.cast ?? {};
  }

  get seconds() {
    return round(this.shots.reduce((sum, shot) => sum + shot.seconds, 0));
  }

  begin(index) {
    return round(this.shots.slice(0, index).reduce((sum, shot) => sum + shot.seconds, 0));
  }

  // How a shot follows the one before; the first one has nothing to follow.
  transition(index) {
    return index ? this.shots[index].transition : CUT;
  }

  change(index, values) {
    Object.assign(this.shots[index], values);
  }

  move(from, to) {
    this.shots.splice(to, 0, ...this.shots.splice(from, 1));
  }

  insert(index, shot) {
    const separator = this.gaps.slice(1).some((gap) => gap.includes("\n")) || this.gaps.length < 2 ? "\n" : " / ";
    if (index) this.gaps.splice(index, 0, separator);
    else this.gaps.splice(1, 0, separator);
    this.shots.splice(index, 0, { picture: "", ...shot });
  }

  remove(index) {
    this.shots.splice(index, 1);
    const [gap] = this.gaps.splice(index || 1, 1);
    const note = gap?.includes("#") || gap?.includes(":") || gap?.includes("：");
    if (!note) return;
    if (index && index < this.gaps.length) this.gaps[index] = gap.trimEnd() + this.gaps[index];
    else if (index) this.tail = gap.trimEnd() + this.tail;
    else this.gaps[0] += gap.trimStart();
  }

  write() {
    return this.shots.map((_, index) => this.gaps[index] + this.#entry(index)).join("") + this.tail;
  }

  #entry(index) {
    const { seconds, prompt, picture } = this.shots[index];
    const begin = this.begin(index);
    const how = this.transition(index);
    const parts = [`${begin}-${round(begin + seconds)}s:`];
    if (index) parts.push(`${how},`);
    if (picture && how === CUT) parts.push(`[${picture}]`);
    return [...parts, prompt.replace(/\s+/g, " ").trim()].join(" ").trimEnd();
  }
}
