// The picture and the people on it, on one canvas: what is drawn together is of the same frame.

import { INK, SIDES, sideOf, trackColour } from "./colours.js";
import { placesOf } from "./pieces.js";

const SEEN = 0.2; // joints that score less are not drawn, as in render.py
const TRAIL = 1.5; // seconds

export class Picture {
  constructor(canvas, video, about, labels) {
    Object.assign(this, { canvas, video, labels, skeleton: about.skeleton });
    this.size = { width: about.width, height: about.height };
    this.zoom = { scale: 1, x: 0, y: 0 };
    this.shows = { skeletons: true, boxes: true, ids: true, trails: false, raw: false };
    this.colours = {};
    this.ctx = canvas.getContext("2d", { alpha: false });
    const { joints, edges } = about.skeleton;
    this.bones = edges.map(([a, b]) => ({ a, b, colour: SIDES[sideOf(joints[a], joints[b])] }));
    this.joints = joints.map((joint) => SIDES[sideOf(joint)]);
    this.hips = ["left_hip", "right_hip"].map((name) => joints.indexOf(name));
  }

  // From pixels of the video to pixels of the canvas: the whole picture fits, zoomed by the user.
  view() {
    const { width, height } = this.canvas;
    const shape = this.video.videoWidth && this.hasVideo
      ? { width: this.video.videoWidth, height: this.video.videoHeight } : this.size;
    const fit = Math.min(width / shape.width, height / shape.height) * this.zoom.scale;
    const [w, h] = [shape.width * fit, shape.height * fit];
    const x = (width - w) / 2 + this.zoom.x * width, y = (height - h) / 2 + this.zoom.y * height;
    return { x, y, w, h, sx: w / this.size.width, sy: h / this.size.height };
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(clientHeight * ratio));
  }

  // `image` is what the video shows, where the browser can tell; `at` the frame of the result that belongs to it.
  draw(image, at, selected, pieces) {
    const { ctx, canvas } = this;
    const view = this.view();
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.fillStyle = this.colours.stage;
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    ctx.fillStyle = "rgb(28 30 35)";
    ctx.fillRect(view.x, view.y, view.w, view.h);
    const source = image ?? (this.hasVideo && this.video.readyState >= 2 ? this.video : null);
    if (source) ctx.drawImage(source, view.x, view.y, view.w, view.h);
    this.frame = at ? at.piece.indices[at.row] : null; // what is drawn now
    this.people = at ? this.peopleOf(at.piece, at.row) : [];
    if (!at) return;
    // a pixel's centre has whole coordinates: the top-left corner of the picture is (-0.5, -0.5)
    ctx.setTransform(view.sx, 0, 0, view.sy, view.x + view.sx / 2, view.y + view.sy / 2);
    this.unit = (devicePixelRatio || 1) / Math.sqrt(view.sx * view.sy);
    if (this.shows.trails) this.drawTrails(at, pieces);
    for (const person of this.people) if (this.shows.boxes || selected.includes(person.id)) this.drawBox(person, selected);
    if (this.shows.raw && at.piece.raw) for (const person of this.people) this.drawRaw(person, at.piece);
    if (this.shows.skeletons) for (const person of this.people) this.drawSkeleton(person, at.piece);
    if (this.shows.ids) for (const person of this.people) this.drawLabel(person, view, selected);
  }

  // The people shown in a frame, small ones last to be drawn first: { id, original, place, box }.
  peopleOf(piece, row) {
    const frame = piece.indices[row];
    return placesOf(piece, row)
      .map((place) => ({
        place, original: piece.ids[place], id: this.labels.shown(piece.ids[place], frame),
        box: piece.boxes.subarray(4 * place, 4 * place + 4),
      }))
      .filter((person) => person.id !== null)
      .sort((a, b) => a.box[2] * a.box[3] - b.box[2] * b.box[3]);
  }

  drawBox({ id, box }, selected) {
    const { ctx, unit } = this;
    const chosen = selected.includes(id);
    ctx.setLineDash(selected[1] === id ? [6 * unit, 4 * unit] : []);
    if (chosen) {
      ctx.strokeStyle = "rgb(255 255 255 / 90%)";
      ctx.lineWidth = 4.5 * unit;
      ctx.strokeRect(...box);
    }
    ctx.strokeStyle = trackColour(id).fill;
    ctx.lineWidth = (chosen ? 2.5 : 1.5) * unit;
    ctx.strokeRect(...box);
    ctx.setLineDash([]);
  }

  jointAt(keypoints, place, joint) {
    const at = 3 * (place * this.skeleton.joints.length + joint);
    return keypoints[at + 2] >= SEEN && !Number.isNaN(keypoints[at]) ? [keypoints[at], keypoints[at + 1]] : null;
  }

  drawSkeleton({ place, box }, { keypoints }) {
    const { ctx, unit } = this;
    const width = Math.min(Math.max(box[3] / 70, 1.2 * unit), 3 * unit);
    const points = this.joints.map((_, joint) => this.jointAt(keypoints, place, joint));
    const bones = this.bones.filter(({ a, b }) => points[a] && points[b]);
    ctx.lineCap = "round";
    this.line(bones.map(({ a, b }) => [points[a], points[b]]), INK, 2 * width);
    this.discs(points.filter(Boolean), INK, 1.75 * width);
    for (const side of Object.values(SIDES)) {
      this.line(bones.filter(({ colour }) => colour === side).map(({ a, b }) => [points[a], points[b]]), side, width);
    }
    for (const side of Object.values(SIDES)) {
      this.discs(points.filter((point, joint) => point && this.joints[joint] === side), side, 1.25 * width);
    }
  }

  drawRaw({ place }, { raw }) {
    const points = this.joints.map((_, joint) => this.jointAt(raw, place, joint));
    const bones = this.bones.filter(({ a, b }) => points[a] && points[b]);
    this.ctx.setLineDash([3 * this.unit, 3 * this.unit]);
    this.line(bones.map(({ a, b }) => [points[a], points[b]]), "rgb(255 90 220)", 1.2 * this.unit);
    this.ctx.setLineDash([]);
    this.discs(points.filter(Boolean), "rgb(255 90 220)", 2 * this.unit);
  }

  line(segments, colour, width) {
    const { ctx } = this;
    ctx.beginPath();
    for (const [a, b] of segments) { ctx.moveTo(...a); ctx.lineTo(...b); }
    ctx.strokeStyle = colour;
    ctx.lineWidth = width;
    ctx.stroke();
  }

  discs(points, colour, radius) {
    const { ctx } = this;
    ctx.beginPath();
    for (const [x, y] of points) { ctx.moveTo(x + radius, y); ctx.arc(x, y, radius, 0, 2 * Math.PI); }
    ctx.fillStyle = colour;
    ctx.fill();
  }

  // Labels keep their size on the screen and stay inside the canvas.
  drawLabel({ id, box }, view, selected) {
    const { ctx, canvas } = this;
    const ratio = devicePixelRatio || 1;
    const text = this.labels.nameOf(id) || `${id}`;
    ctx.save();
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.font = `600 ${12 * ratio}px system-ui, "Noto Sans", "DejaVu Sans", sans-serif`;
    const [w, h] = [ctx.measureText(text).width + 10 * ratio, 17 * ratio];
    const x = Math.min(Math.max(view.x + box[0] * view.sx, 0), canvas.width - w);
    const y = Math.min(Math.max(view.y + box[1] * view.sy - h, 0), canvas.height - h);
    const { fill, ink } = trackColour(id);
    ctx.fillStyle = fill;
    ctx.beginPath();
    ctx.roundRect(x, y, w, h, 3 * ratio);
    ctx.fill();
    if (selected.includes(id)) {
      ctx.strokeStyle = "white";
      ctx.lineWidth = 1.5 * ratio;
      ctx.stroke();
    }
    ctx.fillStyle = ink;
    ctx.textBaseline = "middle";
    ctx.fillText(text, x + 5 * ratio, y + h / 2 + 0.5 * ratio);
    ctx.restore();
  }

  // Where each person's hips (else the middle of the box) were, from a while ago until now.
  drawTrails({ piece, row }, pieces) {
    const now = piece.times[row];
    const trails = new Map();
    for (const [part, rows] of [[pieces.have(piece.before), Infinity], [piece, row + 1]]) {
      if (!part) continue;
      for (let r = 0; r < Math.min(rows, part.frames); r++) {
        if (part.times[r] < now - TRAIL) continue;
        if (part.cuts[r]) trails.clear();
        for (const { id, place, box } of this.peopleOf(part, r)) {
          if (!trails.has(id)) trails.set(id, []);
          trails.get(id).push(this.middle(part, place, box));
        }
      }
    }
    for (const [id, points] of trails) {
      points.slice(1).forEach((point, n) => {
        this.ctx.globalAlpha = 0.15 + (0.85 * n) / points.length;
        this.line([[points[n], point]], trackColour(id).fill, 3 * this.unit);
      });
    }
    this.ctx.globalAlpha = 1;
  }

  middle(piece, place, box) {
    const hips = this.hips.map((joint) => joint >= 0 && this.jointAt(piece.keypoints, place, joint));
    if (hips.every(Boolean)) return [(hips[0][0] + hips[1][0]) / 2, (hips[0][1] + hips[1][1]) / 2];
    return [box[0] + box[2] / 2, box[1] + box[3] / 2];
  }

  // The id of the person at a point of the page; the smallest box there.
  personAt(event) {
    const frame = this.canvas.getBoundingClientRect();
    const view = this.view();
    const x = ((event.clientX - frame.left) * (this.canvas.width / frame.width) - view.x) / view.sx;
    const y = ((event.clientY - frame.top) * (this.canvas.height / frame.height) - view.y) / view.sy;
    return this.people?.find(({ box }) => x >= box[0] && y >= box[1] && x <= box[0] + box[2] && y <= box[1] + box[3])?.id;
  }

  // Zoom by `factor` around a point of the canvas, given in fractions of its size.
  zoomBy(factor, u, v) {
    const scale = Math.min(Math.max(this.zoom.scale * factor, 1), 20);
    const grown = scale / this.zoom.scale;
    this.zoom = scale === 1 ? { scale, x: 0, y: 0 }
      : { scale, x: (this.zoom.x + 0.5 - u) * grown + u - 0.5, y: (this.zoom.y + 0.5 - v) * grown + v - 0.5 };
  }

  moveBy(u, v) {
    if (this.zoom.scale > 1) { this.zoom.x += u; this.zoom.y += v; }
  }
}
