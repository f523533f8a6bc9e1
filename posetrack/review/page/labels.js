// Under which ids people are shown: the table of posetrack/review/edits.py, and the timeline's rows made with it.

export class Labels {
  constructor(tracks) {
    this.originals = new Map(tracks.map((track) => [track.id, { ...track, runs: [[track.first, track.last]] }]));
    this.names = Object.fromEntries(tracks.filter((track) => track.name).map((track) => [track.id, track.name]));
    this.moved = {};
    this.arrange();
  }

  // What the survey of the whole file found of each original id.
  learn(tracks) {
    for (const track of tracks) Object.assign(this.originals.get(track.id) ?? {}, track);
    this.arrange();
  }

  relabel(table) {
    this.moved = table.moved;
    this.names = table.names;
    this.arrange();
  }

  pieces(original) {
    const { first, last } = this.originals.get(original);
    return this.moved[original] ?? [[first, last, original]];
  }

  // The id that `original` is shown under in a frame that holds it; null where it is deleted.
  shown(original, frame) {
    const pieces = this.moved[original];
    if (!pieces) return original;
    return pieces.find(([first, last]) => first <= frame && frame <= last)?.[2] ?? null;
  }

  // The same for a frame that need not hold it: as it was shown last before, or else is first.
  shownAround(original, frame) {
    if (!this.originals.has(original)) return null;
    const pieces = this.pieces(original);
    return (pieces.findLast(([first]) => first <= frame) ?? pieces[0])[2];
  }

  nameOf(id) { return this.names[id] ?? ""; }
  wordsFor(id) { return this.names[id] ? `${this.names[id]} (${id})` : `${id}`; }
  row(id) { return this.rows[this.places.get(id)]; }

  // One row for each shown id, by its first frame: { id, first, last, frames, runs, flow, fill, low }.
  arrange() {
    const rows = new Map();
    for (const [original, track] of this.originals) {
      for (const [first, last, id] of this.pieces(original)) {
        if (id === null) continue;
        if (!rows.has(id)) rows.set(id, { id, first, last, runs: [], flow: [], fill: [], low: [] });
        const row = rows.get(id);
        row.first = Math.min(row.first, first);
        row.last = Math.max(row.last, last);
        for (const kind of ["runs", "flow", "fill", "low"]) row[kind].push(...within(track[kind] ?? [], first, last));
      }
    }
    this.rows = [...rows.values()].sort((a, b) => a.first - b.first || a.id - b.id);
    for (const row of this.rows) row.runs.sort((a, b) => a[0] - b[0]);
    this.places = new Map(this.rows.map((row, place) => [row.id, place]));
  }
}

// The stretches, cut to what lies from `first` to `last`.
function within(stretches, first, last) {
  return stretches
    .filter(([begin, end]) => begin <= last && end >= first)
    .map(([begin, end]) => [Math.max(begin, first), Math.min(end, last)]);
}
