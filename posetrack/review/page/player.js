// What is shown now: plays the video, or a clock of its own where there is none, and tells each new frame.
//
// The picture on the screen decides: its time, as the browser tells it, names the frame of the result.

import { rowAt, rowAtTime } from "./pieces.js";

const FOLLOWS = 1.0; // seconds: a frame of the result stands until the next one, but no longer than this

const TRIES = 6;
const PATIENCE = 20; // frames of the screen

export class Player {
  constructor(video, pieces, about) {
    Object.assign(this, { video, pieces, about });
    this.time = about.first[1];
    this.index = about.first[0]; // the frame that is to be shown: where steps start from
    this.at = null; // { piece, row } of the frame on the screen; null where there is none
    this.rate = 1;
    this.playing = false;
    this.hasVideo = false;
    this.onframe = () => {};
    this.goal = null; // the frame that the video is to show: { index, time, at, tries }
    this.pictured = null; // the time of the picture on the screen, as the browser told it
    this.asked = 0;
    this.underway = false; // whether a seek or step has not come to the screen yet
    video.addEventListener("seeked", () => this.sought());
    for (const event of ["play", "pause", "ended"]) video.addEventListener(event, () => this.followVideo());
  }

  // `begins`: what the video's clock shows at time 0 of the tracks.
  useVideo(address, begins) {
    this.pause();
    this.begins = begins;
    this.hasVideo = true;
    this.video.src = address;
    this.video.playbackRate = this.rate;
    this.video.addEventListener("loadeddata", () => this.seek(this.index), { once: true });
    if (!this.isWaiting) this.waitForPicture();
  }

  dropVideo() {
    this.hasVideo = false;
    this.video.removeAttribute("src");
    this.video.load();
  }

  waitForPicture() {
    if (!this.video.requestVideoFrameCallback) return;
    this.isWaiting = true;
    this.video.requestVideoFrameCallback((_, picture) => {
      this.pictured = picture.mediaTime - this.begins;
      this.isFresh = !this.video.seeking;
      this.showTime(this.pictured);
      this.waitForPicture();
    });
  }

  jump() {
    this.isPutOff = this.video.seeking;
    if (this.isPutOff) return;
    this.isFresh = false;
    this.video.currentTime = this.goal.at;
  }

  sought() {
    if (this.isPutOff) this.jump();
    else this.check(PATIENCE);
  }

  // A seek is over. Where another picture is on the screen than the one asked for, wait so many frames of the screen for
  // a new one; if it is still another (some browsers reckon with the mean duration of pictures) ask again, nearby.
  check(patience) {
    if (this.video.seeking || !this.goal) return;
    const { goal } = this;
    const time = this.timeShown();
    const piece = this.pieces.haveAt(time);
    const shown = piece && piece.indices[Math.max(0, rowAtTime(piece, time))];
    if (this.playing || shown === goal.index || goal.tries >= TRIES) {
      this.goal = null;
      this.underway = false;
      this.showTime(time);
    } else if (!this.isFresh && patience > 0) requestAnimationFrame(() => this.check(patience - 1));
    else {
      goal.tries++;
      goal.at += Math.max(-0.05, Math.min(0.05, (goal.time - time) / 2));
      this.jump();
    }
  }

  // The picture that the browser would draw now, which knows its own time; to be closed. None where browsers can't say.
  grab() {
    if (!this.hasVideo || this.video.readyState < 2 || !globalThis.VideoFrame) return null;
    try { return new VideoFrame(this.video); } catch { return null; }
  }

  timeShown() {
    const picture = this.grab();
    if (!picture) return this.pictured ?? this.video.currentTime - this.begins;
    const time = this.timeOf(picture);
    picture.close();
    return time;
  }

  timeOf(picture) { return picture.timestamp / 1e6 - this.begins; }

  followVideo() {
    this.playing = this.hasVideo && !this.video.paused && !this.video.ended;
    this.onframe();
    if (this.playing && !this.video.requestVideoFrameCallback) this.followClock();
  }

  followClock() {
    if (!this.playing) return;
    this.showTime(this.video.currentTime - this.begins);
    requestAnimationFrame(() => this.followClock());
  }

  showTime(time) {
    this.find(time);
    this.onframe();
  }

  // Find the frame of the result that is shown at a time; it is asked for where it isn't here.
  find(time) {
    this.time = time;
    const piece = this.pieces.haveAt(time);
    if (piece) this.show(piece, rowAtTime(piece, time));
    else {
      this.at = null;
      this.pieces.loadAt(time).then(() => this.time === time && this.showTime(time), () => {});
    }
  }

  show(piece, row) {
    const next = row + 1 < piece.frames ? piece.times[row + 1] : piece.until;
    const ends = Math.min(next, piece.times[Math.max(row, 0)] + FOLLOWS) - 1e-3;
    const isThere = row >= 0 && (this.time < ends || Number.isNaN(ends));
    this.at = isThere ? { piece, row } : null;
    if (isThere && !this.underway) this.index = piece.indices[row];
    if (row >= 0) this.pieces.prefetch(piece, row);
  }

  // Go to the frame with this number, or the last one before it. While one piece is being fetched only the newest
  // wish is kept, so scrubbing is as quick as pieces come.
  async seek(index) {
    const ask = ++this.asked;
    this.underway = true;
    this.index = Math.max(this.about.first[0], Math.min(this.about.last[0], Math.round(index)));
    this.onframe();
    if (!this.pieces.have(this.pieces.numberOf(this.index))) {
      await this.fetching;
      if (ask !== this.asked) return;
    }
    this.fetching = this.pieces.load(this.pieces.numberOf(this.index));
    const piece = await this.fetching;
    if (ask === this.asked) this.settle(piece, Math.max(0, rowAt(piece.indices, this.index)));
  }

  settle(piece, row) {
    if (!piece.frames) { // nothing to go to: an empty result
      this.underway = false;
      return;
    }
    this.index = piece.indices[row];
    if (!this.hasVideo) {
      this.underway = false;
      this.time = piece.times[row];
      this.clockBegan = null;
      this.show(piece, row);
      this.onframe();
      return;
    }
    // a little after the picture's time: times are rounded on their way, and the picture before must not be meant
    const next = row + 1 < piece.frames ? piece.times[row + 1] : piece.until;
    const gap = Number.isFinite(next) ? next - piece.times[row] : 1 / (this.about.fps || 25);
    const time = piece.times[row];
    const at = this.begins + time + Math.min(gap, 0.02) / 4;
    this.goal = { index: this.index, time, at, tries: 0 };
    this.jump();
    this.pieces.prefetch(piece, row);
  }

  // So many frames of the result on or back, from the frame that is to be shown.
  async step(count) {
    this.pause();
    const ask = ++this.asked;
    this.underway = true;
    let piece = await this.pieces.load(this.pieces.numberOf(this.index));
    let row = rowAt(piece.indices, this.index) + count;
    while (row < 0 && piece.before !== null) {
      piece = await this.pieces.load(piece.before);
      row += piece.frames;
    }
    while (row >= piece.frames && piece.after !== null) {
      row -= piece.frames;
      piece = await this.pieces.load(piece.after);
    }
    if (ask === this.asked) this.settle(piece, Math.max(0, Math.min(piece.frames - 1, row)));
  }

  toggle() { return this.playing ? this.pause() : this.play(); }

  play() {
    this.asked++;
    if (this.hasVideo) return this.video.play().catch(() => {});
    if (this.time >= this.about.last[1]) this.time = this.about.first[1];
    this.playing = true;
    this.clockBegan = null;
    requestAnimationFrame((now) => this.tick(now));
    return this.onframe();
  }

  pause() {
    if (this.hasVideo) this.video.pause();
    this.playing = false;
    this.onframe();
  }

  tick(now) {
    if (!this.playing || this.hasVideo) return;
    if (this.clockBegan === null) this.clockBegan = now - (1000 * this.time) / this.rate;
    const time = ((now - this.clockBegan) / 1000) * this.rate;
    if (time >= this.about.last[1]) this.playing = false;
    this.showTime(Math.min(time, this.about.last[1]));
    requestAnimationFrame((later) => this.tick(later));
  }

  setRate(rate) {
    this.rate = rate;
    this.clockBegan = null;
    this.video.playbackRate = rate;
  }
}
