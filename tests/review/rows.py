"""Relabelling the plain way, row by row: what the pieces of posetrack.review.edits must agree with."""

from hypothesis import strategies as st

from posetrack.review.presence import PresenceBuilder
from posetrack.review.verbs import Delete, Merge, Name, Split, Swap


def presence(frames):
    """The presence of [(frame, ids), ...]."""
    builder = PresenceBuilder()
    for frame, ids in frames:
        builder.add(frame, ids)
    return builder.done()


@st.composite
def videos(draw):
    """Who is in which frame: up to 5 ids in up to 14 frames whose numbers have holes."""
    count = draw(st.integers(1, 14))
    steps = draw(st.lists(st.integers(1, 3), min_size=count, max_size=count))
    people = st.sets(st.sampled_from([1, 2, 3, 5, 8]), max_size=draw(st.integers(1, 5)))
    return [(sum(steps[: n + 1]) - 1, draw(people)) for n in range(count)]


ids = st.integers(1, 12)
frames = st.integers(0, 44)
edits = st.one_of(
    st.builds(Swap, st.tuples(ids, ids), frames),
    st.builds(Merge, ids, ids),
    st.builds(Split, ids, frames),
    st.builds(Delete, ids),
    st.builds(Delete, ids, st.none() | frames, st.none() | frames),
    st.builds(Name, ids, st.sampled_from(["", "Anna", "Ben"])),
)


class PlainRows:
    """Every (original, frame) with the id it is shown under, changed one by one."""

    def __init__(self, video):
        self.shown = {(id, frame): id for frame, here in video for id in here}
        self.next_id = max((id for _, here in video for id in here), default=0) + 1
        self.joins = []

    def rows(self, id, first=-1, last=10**9):
        return {row for row, shown in self.shown.items() if shown == id and first <= row[1] <= last}

    def relabel(self, rows, id):
        self.shown.update(dict.fromkeys(rows, id))

    def apply(self, edit):
        """Make the edit; False when it makes no sense."""
        if isinstance(edit, Swap):
            return self.swap(*edit.ids, edit.frame)
        if isinstance(edit, Merge):
            return self.merge(edit.id, edit.into)
        if isinstance(edit, Split):
            return self.split(edit.id, edit.frame)
        if isinstance(edit, Delete):
            return self.delete(edit)
        return bool(self.rows(edit.id))

    def swap(self, a, b, frame):
        late_a, late_b = self.rows(a, frame), self.rows(b, frame)
        early_a, early_b = self.rows(a) - late_a, self.rows(b) - late_b
        there = a != b and self.rows(a) and self.rows(b)
        if not there or not (late_a or late_b) or not (early_a or late_b) or not (early_b or late_a):
            return False
        self.relabel(late_a, b)
        self.relabel(late_b, a)
        return True

    def merge(self, id, into):
        gone, kept = self.rows(id), self.rows(into)
        if id == into or not gone or not kept or {f for _, f in gone} & {f for _, f in kept}:
            return False
        self.relabel(gone, into)
        self.joins.append((id, gone))
        return True

    def split(self, id, frame):
        late = self.rows(id, frame)
        early = self.rows(id) - late
        if not late or not early:
            return False
        for n in reversed(range(len(self.joins))):
            gone, joined = self.joins[n]
            for part, rest in ((late, early), (early, late)):
                if part <= joined and not rest & joined:
                    self.relabel(part, gone)
                    del self.joins[n]
                    return True
        self.relabel(late, self.next_id)
        self.next_id += 1
        return True

    def delete(self, edit):
        rows = self.rows(edit.id, -1 if edit.first is None else edit.first, 10**9 if edit.last is None else edit.last)
        self.relabel(rows, None)
        return bool(rows)
