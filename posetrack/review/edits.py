"""Corrections of identities: swap, merge, split, delete, name, as pure functions.

A correction never touches a joint, a box, a score or a time. It changes only which id the people of a result file
are shown under: `Relabelling` says for each id of the file, the *original*, under which id, if any, it is *shown* in
which frames. So a correction takes microseconds however long the video is, and two people never share an id in
one frame: swapping exchanges two ids in every frame, merging is refused where both are in one frame, and new ids are
counted on from above the highest ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from posetrack.review.presence import Numbers, Presence
from posetrack.review.verbs import Delete, Edit, Merge, Split, Swap

__all__ = ["Join", "Piece", "Relabelling", "Span"]


class Piece(NamedTuple):
    """An original id from frame `first` to frame `last` (both hold it) is shown as `shown`, or not at all."""

    first: int
    last: int
    shown: int | None


class Span(NamedTuple):
    """An original id from frame `first` to frame `last`, both of which hold it."""

    original: int
    first: int
    last: int


@dataclass(frozen=True)
class Join:
    """What a merge joined: the rows that were shown as `gone`, so that a split at the joint gives that id back.

    `name` is what `gone` was called, `lent` says whether the id that it went into took that name.
    """

    gone: int
    spans: tuple[Span, ...]
    name: str | None
    lent: bool


@dataclass(frozen=True)
class Relabelling:
    """Under which id the people of a result file are shown.

    `moved` has the originals that are not simply shown under their own id, with their pieces in order of time; these
    cover all frames of the original and neighbours differ, so equal relabellings are equal objects. `names` are by
    shown id. `next_id` is above every id ever used.
    """

    presence: Presence = field(compare=False, repr=False)
    moved: Mapping[int, tuple[Piece, ...]]
    names: Mapping[int, str]
    joins: tuple[Join, ...]
    next_id: int

    @classmethod
    def start(cls, presence: Presence, names: Mapping[int, str] | None = None) -> Relabelling:
        """Everybody under the id that the file has; `names` are those that it tells."""
        return cls(presence, {}, dict(names or {}), (), max(presence.runs, default=0) + 1)

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids that are shown somewhere, ascending."""
        own = self.presence.runs.keys() - self.moved.keys()
        new = {piece.shown for pieces in self.moved.values() for piece in pieces if piece.shown is not None}
        return tuple(sorted(own | new))

    def pieces(self, original: int) -> tuple[Piece, ...]:
        """Where `original` is shown as what, in order of time."""
        own = Piece(self.presence.first(original), self.presence.last(original), original)
        return self.moved.get(original, (own,))

    def shown(self, original: int, frame: int) -> int | None:
        """The id under which `original` is shown in `frame`, which holds it; None when it is deleted there."""
        if original not in self.moved:
            return original
        return next((p.shown for p in self.moved[original] if p.first <= frame <= p.last), None)

    def spans(self, id: int) -> tuple[Span, ...]:
        """What is shown as `id`, in order of time; ValueError when nothing is."""
        found = [Span(o, p.first, p.last) for o, pieces in self.moved.items() for p in pieces if p.shown == id]
        if id in self.presence.runs and id not in self.moved:
            found.append(Span(id, self.presence.first(id), self.presence.last(id)))
        if not found:
            raise ValueError(f"there is no id {id}")
        return tuple(sorted(found, key=lambda span: (span.first, span.original)))

    def table(self) -> dict[str, Any]:
        """The whole as JSON values; an original that is not in `moved` is shown under its own id."""
        return {
            "moved": {str(original): [list(piece) for piece in pieces] for original, pieces in self.moved.items()},
            "names": {str(id): name for id, name in self.names.items()},
            "next_id": self.next_id,
        }

    def apply(self, edit: Edit) -> Relabelling:
        """The relabelling after `edit`; ValueError that says why when it makes no sense now."""
        if isinstance(edit, Swap):
            return self._swap(*edit.ids, edit.frame)
        if isinstance(edit, Merge):
            return self._merge(edit.id, edit.into)
        if isinstance(edit, Split):
            return self._split(edit.id, edit.frame)
        if isinstance(edit, Delete):
            return self._delete(edit)
        self.spans(edit.id)
        return replace(self, names=_renamed(self.names, edit.id, edit.name))

    def _swap(self, a: int, b: int, frame: int) -> Relabelling:
        if a == b:
            raise ValueError(f"{a} cannot be swapped with itself")
        (early_a, late_a), (early_b, late_b) = self._halves(a, frame), self._halves(b, frame)
        if not late_a and not late_b:
            raise ValueError(f"neither {a} nor {b} is there from frame {frame} on")
        for one, other, gone in ((a, b, not early_a and not late_b), (b, a, not early_b and not late_a)):
            if gone:
                raise ValueError(f"{other} ends before frame {frame} and {one} begins after: merge them instead")
        return self._shown_as({b: late_a, a: late_b})

    def _merge(self, id: int, into: int) -> Relabelling:
        if id == into:
            raise ValueError(f"{id} cannot be merged with itself")
        gone, kept = self.spans(id), self.spans(into)
        both = self._first_common(gone, kept)
        if both is not None:
            raise ValueError(
                f"{id} and {into} are both in frame {both}: one person is not in two places; delete one there first"
            )
        name = self.names.get(id)
        lent = name is not None and into not in self.names
        names = _renamed(self.names, id, "")
        joint = Join(id, gone, name, lent)
        return replace(
            self._shown_as({into: gone}),
            names=_renamed(names, into, name) if name is not None and lent else names,
            joins=(*self.joins, joint),
        )

    def _split(self, id: int, frame: int) -> Relabelling:
        early, late = self._halves(id, frame)
        if not early or not late:
            side = "from" if early else "before"
            raise ValueError(f"{id} is not there {side} frame {frame}: there is nothing to split")
        for joint in reversed(self.joins):
            for part, rest in ((late, early), (early, late)):
                if _within(part, joint.spans) and not _touches(rest, joint.spans):
                    return self._parted(id, part, joint)
        return replace(self._shown_as({self.next_id: late}), next_id=self.next_id + 1)

    def _parted(self, id: int, part: tuple[Span, ...], joint: Join) -> Relabelling:
        """`part` of `id` gets back the id and the name that it had before it was merged."""
        names = self.names
        if joint.lent and names.get(id) == joint.name:
            names = _renamed(names, id, "")
        joins = tuple(other for other in self.joins if other is not joint)
        return replace(
            self._shown_as({joint.gone: part}), names=_renamed(names, joint.gone, joint.name or ""), joins=joins
        )

    def _delete(self, edit: Delete) -> Relabelling:
        chosen = self.spans(edit.id)
        if edit.first is not None:
            chosen = tuple(late for span in chosen if (late := self._cut(span, edit.first)[1]))
        if edit.last is not None:
            chosen = tuple(early for span in chosen if (early := self._cut(span, edit.last + 1)[0]))
        if not chosen:
            raise ValueError(f"{edit.id} is in none of these frames")
        after = self._shown_as({None: chosen})
        return after if edit.id in after.ids else replace(after, names=_renamed(self.names, edit.id, ""))

    def _halves(self, id: int, frame: int) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
        """What is shown as `id` before `frame`, and from it on."""
        cut = [self._cut(span, frame) for span in self.spans(id)]
        return tuple(early for early, _ in cut if early), tuple(late for _, late in cut if late)

    def _cut(self, span: Span, frame: int) -> tuple[Span | None, Span | None]:
        """`span` before `frame`, and from it on."""
        original, first, last = span
        if last < frame:
            return span, None
        if first >= frame:
            return None, span
        end, begin = self.presence.before_frame(original, frame), self.presence.from_frame(original, frame)
        assert end is not None
        assert begin is not None
        return Span(original, first, end), Span(original, begin, last)

    def _shown_as(self, changes: Mapping[int | None, Iterable[Span]]) -> Relabelling:
        """The same with the spans of `changes`, each of which lies in one piece, shown under another id."""
        moved = dict(self.moved)
        for shown, spans in changes.items():
            for span in spans:
                moved[span.original] = self._with(moved.get(span.original, self.pieces(span.original)), span, shown)
        own = {original for original, pieces in moved.items() if len(pieces) == 1 and pieces[0].shown == original}
        return replace(self, moved={original: moved[original] for original in sorted(moved.keys() - own)})

    def _with(self, pieces: tuple[Piece, ...], span: Span, shown: int | None) -> tuple[Piece, ...]:
        """`pieces` of one original with `span` shown as `shown`; neighbours that agree become one."""
        parts: list[Piece] = []
        for piece in pieces:
            if piece.last < span.first or piece.first > span.last:
                parts.append(piece)
                continue
            if piece.first < span.first:
                before = self.presence.before_frame(span.original, span.first)
                assert before is not None
                parts.append(Piece(piece.first, before, piece.shown))
            parts.append(Piece(span.first, span.last, shown))
            if piece.last > span.last:
                after = self.presence.from_frame(span.original, span.last + 1)
                assert after is not None
                parts.append(Piece(after, piece.last, piece.shown))
        joined: list[Piece] = []
        for part in parts:
            if joined and joined[-1].shown == part.shown:
                joined[-1] = joined[-1]._replace(last=part.last)
            else:
                joined.append(part)
        return tuple(joined)

    def _first_common(self, a: tuple[Span, ...], b: tuple[Span, ...]) -> int | None:
        """The first frame that holds something of both."""
        starts, ends = self._runs(a)
        others, other_ends = self._runs(b)
        place = np.minimum(np.searchsorted(ends, others), len(ends) - 1)
        both = np.flatnonzero((starts[place] <= other_ends) & (others <= ends[place]))
        return int(np.maximum(starts[place], others)[both[0]]) if len(both) else None

    def _runs(self, spans: tuple[Span, ...]) -> tuple[Numbers, Numbers]:
        """First and last frames (R,) of the runs of `spans`, in order of time."""
        runs = [self.presence.between(*span) for span in spans]
        starts = np.concatenate([starts for starts, _ in runs])
        order = np.argsort(starts)
        return starts[order], np.concatenate([ends for _, ends in runs])[order]


def _renamed(names: Mapping[int, str], id: int, name: str) -> Mapping[int, str]:
    others = {other: called for other, called in names.items() if other != id}
    return dict(sorted([*others.items(), (id, name)])) if name else others


def _within(spans: Iterable[Span], others: tuple[Span, ...]) -> bool:
    """Whether every one of `spans` lies in one of `others`."""
    return all(any(s.original == o.original and o.first <= s.first and s.last <= o.last for o in others) for s in spans)


def _touches(spans: Iterable[Span], others: tuple[Span, ...]) -> bool:
    """Whether anything is in `spans` and in `others`."""
    return any(s.original == o.original and s.first <= o.last and o.first <= s.last for s in spans for o in others)
