// What the mouse does on the picture and on the timeline.

import { timeWords } from "./timeline.js";

export function listenToMouse(parts) {
  onPicture(parts);
  onTimeline(parts);
}

function onPicture({ picture, choose, redraw }) {
  const { canvas } = picture;
  let held = null; // where the mouse was when it last moved the picture
  canvas.addEventListener("pointerdown", (event) => {
    choose(picture.personAt(event), event.shiftKey ? 1 : 0);
    held = { x: event.clientX, y: event.clientY };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held || !canvas.hasPointerCapture(event.pointerId)) return;
    picture.moveBy((event.clientX - held.x) / canvas.clientWidth, (event.clientY - held.y) / canvas.clientHeight);
    held = { x: event.clientX, y: event.clientY };
    redraw();
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { left, top, width, height } = canvas.getBoundingClientRect();
    picture.zoomBy(1.0015 ** -event.deltaY, (event.clientX - left) / width, (event.clientY - top) / height);
    redraw();
  }, { passive: false });
}

function onTimeline({ timeline, player, labels, choose, goTo, redraw }) {
  const { canvas } = timeline;
  const tip = document.getElementById("tip");
  canvas.addEventListener("pointerdown", (event) => {
    const at = timeline.under(event);
    if (at.suspect) { goTo(at.suspect); return; }
    if (at.row) choose(at.row.id, event.shiftKey ? 1 : 0);
    if (at.inGutter) return;
    player.seek(at.index);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = timeline.under(event);
    const isHeld = canvas.hasPointerCapture(event.pointerId);
    if (isHeld) player.seek(at.index);
    showTip(tip, isHeld ? "" : wordsFor(at, timeline, labels), at, timeline);
  });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const [first, last] = timeline.shown;
    if (event.ctrlKey) timeline.zoomBy(1.002 ** -event.deltaY, timeline.frameAt(timeline.under(event).x));
    else if (event.shiftKey || event.deltaX) {
      timeline.showFrom(first + ((event.deltaX || event.deltaY) * (last - first)) / 1500);
    } else timeline.scrollBy(event.deltaY / 2);
    redraw();
  }, { passive: false });
}

function wordsFor({ row, suspect, index, inGutter }, timeline, labels) {
  if (suspect) return `${suspect.shown.map((id) => labels.wordsFor(id)).join(", ")}: ${suspect.kind}`;
  if (!row) return "";
  const time = timeWords(timeline.timeAt(index), 2);
  return inGutter ? labels.wordsFor(row.id) : `${labels.wordsFor(row.id)} · ${time} · frame ${index}`;
}

function showTip(tip, words, { x, y }, timeline) {
  tip.hidden = !words;
  tip.textContent = words;
  tip.style.left = `${Math.min(x + 12, timeline.width - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.max(2, Math.min(y + 14, timeline.height - 30))}px`;
}
