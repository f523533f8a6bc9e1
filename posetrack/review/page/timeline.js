// The timeline: one bar a track, drawn on a canvas for the rows and frames in view only.

import { faded, trackColour } from "./colours.js";

const GUTTER = 112;
const RULER = 34; // times above, marks of suspects below them
const ROW = 20;
const STEPS = [0.04, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200];

export class Timeline {
  constructor(canvas, about, labels) {
    Object.assign(this, { canvas, about, labels });
    this.ctx = canvas.getContext("2d", { alpha: false });
    this.begin = about.first[0];
    this.end = Math.max(about.last[0] + 1, this.begin + 1);
    this.shown = [this.begin, this.end];
    this.top = this.width = this.height = 0;
    this.index = this.begin;
    this.selected = [];
    this.suspects = [];
    this.marks = new Map();
    this.suspect = null;
    this.colours = {};
  }

  resize() {
    const ratio = devicePixelRatio || 1;
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.max(1, Math.round(this.width * ratio));
    this.canvas.height = Math.max(1, Math.round(this.height * ratio));
  }

  x(index) { return GUTTER + ((index - this.shown[0]) / (this.shown[1] - this.shown[0])) * this.span(); }
  span() { return Math.max(this.width - GUTTER - 12, 1); }
  frameAt(x) { return this.shown[0] + ((x - GUTTER) / this.span()) * (this.shown[1] - this.shown[0]); }
  y(place) { return RULER + place * ROW - this.top; }

  timeAt(index) {
    const anchors = this.about.anchors;
    const n = Math.min(Math.max(anchors.findIndex(([at]) => at >= index), 1), anchors.length - 1);
    if (anchors.length < 2) return anchors[0]?.[1] ?? 0;
    const [[i, t], [j, u]] = [anchors[n - 1], anchors[n]];
    return t + ((index - i) / (j - i)) * (u - t);
  }

  // What lies under a point: { index, row } (row: of labels.rows) and a suspect, if one does.
  under(event) {
    const frame = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - frame.left, event.clientY - frame.top];
    const row = y >= RULER ? this.labels.rows[Math.floor((y - RULER + this.top) / ROW)] : undefined;
    const near = y < RULER && y > 16 ? this.suspects.filter((s) => Math.abs(this.x(s.frame) - x) < 5) : [];
    return { x, y, row, suspect: near[0], index: Math.floor(this.frameAt(x)), inGutter: x < GUTTER };
  }

  zoomBy(factor, index = this.index) {
    const width = Math.min(Math.max((this.shown[1] - this.shown[0]) / factor, 20), this.end - this.begin);
    const share = (index - this.shown[0]) / (this.shown[1] - this.shown[0]);
    this.showFrom(index - share * width, width);
  }

  showFrom(begin, width = this.shown[1] - this.shown[0]) {
    const first = Math.min(Math.max(begin, this.begin), this.end - width);
    this.shown = [first, first + width];
  }

  showAll() { this.shown = [this.begin, this.end]; }

  scrollBy(pixels) { this.scrollTo(this.top + pixels); }

  scrollTo(top) {
    const most = Math.max(0, this.labels.rows.length * ROW - (this.height - RULER) + 6);
    this.top = Math.min(Math.max(top, 0), most);
  }

  // Bring the row of an id, and the current frame, into view.
  reveal(id) {
    const place = this.labels.places.get(id);
    if (place === undefined) return;
    if (this.y(place) < RULER) this.scrollTo(place * ROW);
    if (this.y(place) + ROW > this.height) this.scrollTo((place + 1) * ROW - (this.height - RULER) + 4);
  }

  // Another frame is shown: keep it in view, and somebody who is there.
  follow(index) {
    if (index === this.index) return;
    this.index = index;
    const [first, last] = this.shown;
    if (index < first || index > last) this.showFrom(index - (last - first) / 10);
    const isThere = (row) => row.first <= index && index <= row.last;
    if (this.height > RULER && !this.rowsInView().some(isThere)) {
      const place = this.labels.rows.findIndex(isThere);
      if (place >= 0) this.scrollTo(place * ROW);
    }
  }

  rowsInView() {
    const from = Math.ceil(this.top / ROW);
    return this.labels.rows.slice(from, from + Math.floor((this.height - RULER) / ROW));
  }

  draw() {
    const { ctx, colours } = this;
    const ratio = devicePixelRatio || 1;
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.fillStyle = colours.panel;
    ctx.fillRect(0, 0, this.width, this.height);
    this.scrollTo(this.top);
    const from = Math.max(0, Math.floor(this.top / ROW));
    const rows = this.labels.rows.slice(from, from + Math.ceil(this.height / ROW) + 1);
    this.drawGrid();
    rows.forEach((row, n) => this.drawRow(row, this.y(from + n)));
    this.drawGutter(rows, from);
    this.drawRuler();
    this.drawCursor();
    this.drawScroll();
    this.canvas.setAttribute("aria-valuemin", this.begin);
    this.canvas.setAttribute("aria-valuemax", this.end - 1);
    this.canvas.setAttribute("aria-valuenow", this.index);
  }

  ticks() {
    const [first, last] = this.shown.map((index) => this.timeAt(index));
    const step = STEPS.find((s) => ((last - first) / s) * 76 < this.span()) ?? 7200;
    const count = Math.min(200, Math.ceil((last - first) / step) + 1);
    return { step, times: Array.from({ length: count }, (_, n) => (Math.ceil(first / step) + n) * step), first, last };
  }

  xOfTime(time, first, last) { return GUTTER + ((time - first) / (last - first || 1)) * this.span(); }

  drawGrid() {
    const { ctx } = this;
    const { times, first, last } = this.ticks();
    ctx.fillStyle = this.colours.line;
    ctx.globalAlpha = 0.6;
    for (const time of times) ctx.fillRect(Math.round(this.xOfTime(time, first, last)), RULER, 1, this.height);
    ctx.globalAlpha = 1;
  }

  drawRow(row, y) {
    const { ctx, colours } = this;
    if (this.selected.includes(row.id)) {
      ctx.fillStyle = colours.press;
      ctx.fillRect(0, y, this.width, ROW);
    }
    const [top, height] = [y + 4, ROW - 8];
    ctx.fillStyle = colours["bar-gap"];
    const [begin, end] = [this.x(row.first), this.x(row.last + 1)];
    ctx.fillRect(begin, top + height / 2 - 0.5, end - begin, 1);
    const { fill } = trackColour(row.id);
    this.stretches(row.runs, (x, w) => { ctx.fillStyle = fill; ctx.fillRect(x, top, w, height); });
    this.stretches(row.flow, (x, w) => this.hatch(row.id, x, top, w, height));
    this.stretches(row.fill, (x, w) => {
      ctx.fillStyle = colours.panel;
      ctx.fillRect(x, top + 1, w, height - 2);
      ctx.fillStyle = faded(row.id, 0.35);
      ctx.fillRect(x, top + 1, w, height - 2);
    });
    this.stretches(row.low, (x, w) => { // thin where hardly seen
      ctx.fillStyle = this.selected.includes(row.id) ? colours.press : colours.panel;
      ctx.fillRect(x, top, w, 4);
      ctx.fillRect(x, top + height - 4, w, 4);
    });
    this.drawEnds(begin, end, top, height, fill);
    for (const suspect of this.marks.get(row.id) ?? []) this.drawMark(this.x(suspect.frame), y + ROW / 2, suspect);
  }

  // Birth and death: a round end each, seen also where the bar is only a pixel long.
  drawEnds(begin, end, top, height, fill) {
    const { ctx } = this;
    ctx.fillStyle = fill;
    ctx.strokeStyle = this.colours.panel;
    for (const x of [begin, end]) {
      if (x < GUTTER - 6 || x > this.width + 6) continue;
      ctx.beginPath();
      ctx.arc(x, top + height / 2, height / 2 - 1, 0, 2 * Math.PI);
      ctx.fill();
      ctx.stroke();
    }
  }

  // Calls `draw` with the place and width of each stretch in view; those closer than a pixel become one.
  stretches(list, draw) {
    const least = (this.shown[1] - this.shown[0]) / this.span();
    let begin = null, end = null;
    const done = () => {
      const x = Math.max(this.x(begin), GUTTER - 4);
      draw(x, Math.max(Math.min(this.x(end + 1), this.width) - x, 1));
    };
    for (const [first, last] of list) {
      if (last < this.shown[0] || first > this.shown[1]) continue;
      if (begin !== null && first - end - 1 < least) { end = Math.max(end, last); continue; }
      if (begin !== null) done();
      [begin, end] = [first, last];
    }
    if (begin !== null) done();
  }

  hatch(id, x, y, w, h) {
    const { ctx } = this;
    ctx.save();
    ctx.beginPath();
    ctx.rect(x, y, w, h);
    ctx.clip();
    ctx.fillStyle = this.colours.panel;
    ctx.fillRect(x, y, w, h);
    ctx.fillStyle = faded(id, 0.3);
    ctx.fillRect(x, y, w, h);
    ctx.strokeStyle = trackColour(id).fill;
    ctx.lineWidth = 1.5;
    ctx.beginPath();
    for (let at = x - (x % 5) - h; at < x + w; at += 5) { ctx.moveTo(at, y + h); ctx.lineTo(at + h, y); }
    ctx.stroke();
    ctx.restore();
  }

  drawMark(x, y, suspect) {
    const { ctx, colours } = this;
    if (x < GUTTER || x > this.width) return;
    const size = suspect === this.suspect ? 6 : 4.5;
    ctx.beginPath();
    ctx.moveTo(x, y - size);
    ctx.lineTo(x + size, y);
    ctx.lineTo(x, y + size);
    ctx.lineTo(x - size, y);
    ctx.closePath();
    ctx.fillStyle = suspect === this.suspect ? colours.ink : colours.amber;
    ctx.fill();
    ctx.strokeStyle = colours.panel;
    ctx.lineWidth = 1.5;
    ctx.stroke();
  }

  drawGutter(rows, from) {
    const { ctx, colours } = this;
    ctx.fillStyle = colours.panel;
    ctx.fillRect(0, RULER, GUTTER - 8, this.height);
    ctx.textBaseline = "middle";
    rows.forEach((row, n) => {
      const y = this.y(from + n);
      const chosen = this.selected.includes(row.id);
      if (chosen) { ctx.fillStyle = colours.press; ctx.fillRect(0, y, GUTTER - 8, ROW); }
      const { fill, ink } = trackColour(row.id);
      ctx.font = "600 11px system-ui, 'Noto Sans', 'DejaVu Sans', sans-serif";
      const width = Math.max(ctx.measureText(`${row.id}`).width + 10, 24);
      ctx.fillStyle = fill;
      ctx.beginPath();
      ctx.roundRect(8, y + 3, width, ROW - 6, 3);
      ctx.fill();
      ctx.fillStyle = ink;
      ctx.textAlign = "center";
      ctx.fillText(`${row.id}`, 8 + width / 2, y + ROW / 2 + 0.5);
      ctx.textAlign = "left";
      const name = this.labels.nameOf(row.id);
      ctx.fillStyle = chosen ? colours.ink : colours.quiet;
      ctx.font = `${chosen ? 600 : 400} 12px system-ui, 'Noto Sans', 'DejaVu Sans', sans-serif`;
      if (name) this.cutText(name, 14 + width, y + ROW / 2 + 0.5, GUTTER - 24 - width);
    });
  }

  cutText(text, x, y, most) {
    while (text.length > 1 && this.ctx.measureText(text).width > most) text = `${text.replace(/…$/, "").slice(0, -1)}…`;
    this.ctx.fillText(text, x, y);
  }

  drawRuler() {
    const { ctx, colours } = this;
    ctx.fillStyle = colours.panel;
    ctx.fillRect(0, 0, this.width, RULER);
    ctx.fillStyle = colours.line;
    ctx.fillRect(0, RULER - 1, this.width, 1);
    const { step, times, first, last } = this.ticks();
    ctx.font = "11px system-ui, 'Noto Sans', 'DejaVu Sans', sans-serif";
    ctx.textBaseline = "middle";
    for (const time of times) {
      const x = this.xOfTime(time, first, last);
      if (x > this.width) break;
      ctx.fillStyle = colours.line;
      ctx.fillRect(Math.round(x), 0, 1, 16);
      ctx.fillStyle = colours.quiet;
      if (x < this.width - 40) ctx.fillText(timeWords(time, step < 1 ? (step < 0.1 ? 2 : 1) : 0), x + 4, 9);
    }
    const { length } = this.labels.rows;
    ctx.fillStyle = colours.quiet;
    ctx.fillText(`${length} track${length === 1 ? "" : "s"}`, 8, 9);
    for (const suspect of this.suspects) if (suspect !== this.suspect) this.drawMark(this.x(suspect.frame), 25, suspect);
    if (this.suspect) this.drawMark(this.x(this.suspect.frame), 25, this.suspect);
  }

  drawCursor() {
    const { ctx, colours } = this;
    const x = this.x(this.index + 0.5);
    if (x < GUTTER - 1 || x > this.width) return;
    ctx.fillStyle = colours.accent;
    ctx.fillRect(Math.round(x) - 1, 12, 2, this.height);
    ctx.beginPath();
    ctx.moveTo(x - 6, 4);
    ctx.lineTo(x + 6, 4);
    ctx.lineTo(x, 14);
    ctx.closePath();
    ctx.fill();
  }

  drawScroll() {
    const { ctx, colours } = this;
    const room = this.height - RULER, all = this.labels.rows.length * ROW;
    if (all <= room) return;
    const height = Math.max(24, (room * room) / all);
    ctx.fillStyle = colours["bar-gap"];
    ctx.beginPath();
    ctx.roundRect(this.width - 8, RULER + 2 + (this.top / (all - room)) * (room - height - 4), 5, height, 3);
    ctx.fill();
  }

  // Suspects, in order of time; `marks` has those of each shown id.
  setSuspects(suspects) {
    this.suspects = suspects;
    this.marks = new Map();
    for (const suspect of suspects) {
      for (const id of suspect.shown) {
        if (!this.marks.has(id)) this.marks.set(id, []);
        this.marks.get(id).push(suspect);
      }
    }
  }
}

// 3:05.20 for 185.2 seconds, with so many decimals.
export function timeWords(seconds, decimals = 3) {
  const whole = Math.max(0, seconds);
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  const rest = (whole % 60).toFixed(decimals).padStart(decimals ? decimals + 3 : 2, "0");
  const words = hours ? `${hours}:${`${minutes}`.padStart(2, "0")}` : `${minutes}`;
  return `${words}:${rest === `60${decimals ? `.${"0".repeat(decimals)}` : ""}` ? rest.replace("60", "59") : rest}`;
}
