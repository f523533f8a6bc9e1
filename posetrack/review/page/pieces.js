// Frames of the result in pieces (posetrack/review/pieces.py packs them), some of them kept.

import { ask } from "./server.js";

const KEPT_BYTES = 120e6;
const EARLY = 1e-3; // seconds: the browser's times of pictures are cut to microseconds or so

export class Pieces {
  constructor(about) {
    this.about = about;
    this.loaded = new Map(); // by number, the one used last at the end
    this.coming = new Map();
    this.bytes = 0;
  }

  numberOf(index) { return Math.floor(index / this.about.span); }

  have(number) {
    const piece = this.loaded.get(number);
    if (piece) { this.loaded.delete(number); this.loaded.set(number, piece); }
    return piece;
  }

  async load(number) { return this.have(number) ?? this.fetched({ piece: number }); }

  // The piece with the frame shown at `time`, if it is here.
  haveAt(time) {
    for (const piece of [...this.loaded.values()].reverse()) {
      if (piece.times[0] <= time + EARLY && time + EARLY < piece.until) return this.have(piece.number);
    }
    return undefined;
  }

  async loadAt(time) { return this.haveAt(time) ?? this.fetched({ time }); }

  fetched(query) {
    const key = JSON.stringify(query);
    if (!this.coming.has(key)) {
      const done = this.fetchOne(query).finally(() => this.coming.delete(key));
      this.coming.set(key, done);
    }
    return this.coming.get(key);
  }

  async fetchOne(query) {
    const response = await ask("frames", query);
    const [number, before, after, until] = JSON.parse(response.headers.get("X-Piece"));
    const piece = { number, before, after, until: until ?? Infinity, ...unpack(await response.arrayBuffer()) };
    if (!this.loaded.has(number)) {
      this.loaded.set(number, piece);
      this.bytes += piece.bytes;
      for (const [oldest, { bytes }] of this.loaded) {
        if (this.bytes < KEPT_BYTES || this.loaded.size < 4) break;
        this.loaded.delete(oldest);
        this.bytes -= bytes;
      }
    }
    return this.have(number);
  }

  // Have the neighbours of `piece` here before they are needed.
  prefetch(piece, row) {
    const isLate = row > piece.frames / 2;
    const neighbours = isLate ? [piece.after, piece.before] : [piece.before, piece.after];
    const next = neighbours.find((number) => number !== null && !this.loaded.has(number));
    if (next !== undefined && this.coming.size === 0) this.load(next).catch(() => {});
  }
}

// The last row of `values` that is `wanted` or less; -1 when none is.
export function rowAt(values, wanted) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= wanted) low = middle + 1; else high = middle;
  }
  return low - 1;
}

export function rowAtTime(piece, time) { return rowAt(piece.times, time + EARLY); }

function unpack(buffer) {
  const [frames, people, joints, hasRaw] = new Uint32Array(buffer, 0, 4);
  let at = 16;
  const take = (Kind, count) => {
    const column = new Kind(buffer, at, count);
    at += column.byteLength;
    return column;
  };
  return {
    frames, joints, bytes: buffer.byteLength,
    times: take(Float64Array, frames),
    indices: take(Int32Array, frames),
    firsts: take(Int32Array, frames + 1),
    ids: take(Int32Array, people),
    scores: take(Float32Array, people),
    boxes: take(Float32Array, 4 * people),
    keypoints: take(Float32Array, 3 * joints * people),
    raw: hasRaw ? take(Float32Array, 3 * joints * people) : null,
    cuts: take(Uint8Array, frames),
    sources: take(Uint8Array, people),
  };
}

// The people of a row: their places in the columns.
export function placesOf(piece, row) {
  const first = piece.firsts[row];
  return Array.from({ length: piece.firsts[row + 1] - first }, (_, n) => first + n);
}
