// The side panel: who is selected, who is in the frame, and the suspects.

import { trackColour } from "./colours.js";
import { timeWords } from "./timeline.js";

const LISTED = 80; // suspects in the list at a time, around the current one

export const KINDS = {
  exchange: "traded places", jump: "jumps away", birth: "returned as new",
  speed: "changes speed", look: "changes looks", short: "hardly there",
};

export function chip(id, words, pressed) {
  const made = document.createElement(pressed === undefined ? "span" : "button");
  made.className = "chip";
  made.textContent = words;
  made.style.setProperty("--track", trackColour(id).fill);
  made.style.setProperty("--track-ink", trackColour(id).ink);
  if (pressed !== undefined) made.setAttribute("aria-pressed", pressed);
  return made;
}

export function showSelection(place, selected, labels, timeline) {
  const lines = selected.map((id, n) => {
    const row = labels.row(id), line = document.createElement("p"), facts = document.createElement("span");
    const from = timeWords(timeline.timeAt(row.first), 1), to = timeWords(timeline.timeAt(row.last), 1);
    facts.textContent = `${n ? "second · " : ""}${from} – ${to}`;
    facts.className = "facts";
    line.append(chip(id, labels.nameOf(id) ? `${id} ${labels.nameOf(id)}` : `${id}`), facts);
    return line;
  });
  if (!lines.length) {
    const hint = document.createElement("span");
    hint.className = "hint";
    hint.textContent = "Click a person or a bar, Shift-click a second. Keys: ↑ ↓ and 1 … 9; n takes the next suspect's.";
    lines.push(hint);
  }
  place.replaceChildren(...lines);
}

// Made anew only when something in it changes: it is asked for every frame.
export function showHere(place, people, selected, labels, choose) {
  const ordered = fromLeft(people);
  const key = JSON.stringify([ordered.map(({ id }) => [id, labels.nameOf(id)]), selected]);
  if (place.dataset.shows === key) return;
  place.dataset.shows = key;
  const had = place.contains(document.activeElement) ? document.activeElement.dataset.id : null;
  place.replaceChildren(...ordered.map(({ id }, n) => {
    const made = chip(id, labels.nameOf(id) || `${id}`, selected.includes(id));
    made.dataset.id = id;
    made.setAttribute("aria-label", `Person ${labels.wordsFor(id)}${n < 9 ? `, key ${n + 1}` : ""}`);
    made.addEventListener("click", (event) => choose(id, event.shiftKey ? 1 : 0));
    return made;
  }));
  if (had) place.querySelector(`[data-id="${had}"]`)?.focus();
}

export function fromLeft(people) {
  return [...people].sort((a, b) => a.box[0] + a.box[2] / 2 - b.box[0] - b.box[2] / 2 || a.id - b.id);
}

export function showSuspects(place, suspects, current, labels, timeline, go) {
  const at = Math.max(0, suspects.indexOf(current));
  const from = Math.max(0, Math.min(at - LISTED / 2, suspects.length - LISTED));
  const listed = suspects.slice(from, from + LISTED);
  place.replaceChildren(...listed.map((suspect) => {
    const item = document.createElement("li"), button = document.createElement("button");
    const when = document.createElement("span"), chips = document.createElement("span");
    const why = document.createElement("span");
    [when.className, chips.className, why.className] = ["when", "chips", "why"];
    when.textContent = timeWords(timeline.timeAt(suspect.frame), 2);
    chips.append(...suspect.shown.map((id) => chip(id, `${id}`)));
    why.textContent = why.title = KINDS[suspect.kind] ?? suspect.kind;
    button.append(when, chips, why);
    button.setAttribute("aria-label",
      `Suspect at ${when.textContent}: ${suspect.shown.map((id) => labels.wordsFor(id)).join(" and ")} ${why.textContent}`);
    if (suspect === current) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => go(suspect));
    item.append(button);
    return item;
  }));
  place.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
}
