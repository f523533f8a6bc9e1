"""Who is who over a whole sequence: HOTA (Luiten 2021), IDF1 (Ristani 2016) and CLEAR on whole people.

Any similarity will do: box IoU as MOTChallenge has it, or the OKS or PCKh of poses. (REFERENCE 5.8)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from posetrack.evaluate.clear import Candidates, Convention, Matches, keep_pairs, switches
from posetrack.evaluate.matching import best_assignment
from posetrack.evaluate.people import Doubles, Integers, Pair
from posetrack.evaluate.similarity import Similar

__all__ = [
    "ALPHAS", "Hota", "Identity", "PeopleClear", "clear_people", "hota", "hota_scores", "identity", "people_switches",
]  # fmt: skip

ALPHAS = np.arange(0.05, 0.99, 0.05)
"""The similarity thresholds over which HOTA is averaged."""

_EPSILON = float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class Hota:
    """Counts for HOTA, (19,) each, one a threshold: summed over sequences, then turned into scores.

    `found` true detections, `missed`, `invented`; `association` sums each found one's association score,
    `association_recall` and `association_precision` its two sides, `location` its similarity.
    """

    found: Doubles
    missed: Doubles
    invented: Doubles
    association: Doubles
    association_recall: Doubles
    association_precision: Doubles
    location: Doubles

    def __add__(self, other: Hota) -> Hota:
        return replace(self, **{n: getattr(self, n) + getattr(other, n) for n in self.__dataclass_fields__})


def _numbered(ids: Integers) -> tuple[Integers, Integers]:
    """Identities as numbers from 0, and how often each appears."""
    if not len(ids):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    _, number = np.unique(ids, return_inverse=True)
    return number.astype(np.int64), np.bincount(number)


def hota(pair: Pair, similar: Similar) -> Hota:
    """HOTA's counts of one sequence.

    Per frame, the one-to-one pairing of the greatest sum of similarity x alignment of the two identities over the
    whole sequence; at each threshold the pairs that are similar enough are found detections.
    """
    true_id, true_count = _numbered(pair.truth.id)
    guess_id, guess_count = _numbered(pair.prediction.id)
    similarity = similar.similarity
    identities, which = np.unique(
        true_id[similar.truth] * max(len(guess_count), 1) + guess_id[similar.prediction], return_inverse=True
    )
    together = true_count[identities // max(len(guess_count), 1)] if len(identities) else np.zeros(0)
    lengths = (together, guess_count[identities % max(len(guess_count), 1)] if len(identities) else np.zeros(0))
    potential = np.bincount(which, weights=_share(pair, similar), minlength=len(identities))
    alignment = potential / (lengths[0] + lengths[1] - potential)
    pairs = best_assignment(similar.truth, similar.prediction, alignment[which] * similarity)
    which, similarity = which[pairs], similarity[pairs]
    columns = [_at(alpha, which, similarity, lengths) for alpha in ALPHAS]
    found, association, recall, precision, location = np.array(columns).reshape(len(ALPHAS), 5).T
    return Hota(found, len(true_id) - found, len(guess_id) - found, association, recall, precision, location)


def _share(pair: Pair, similar: Similar) -> Doubles:
    """Each pair's part of all the similarity that either of the two has in its frame: the Jaccard alignment."""
    value = similar.similarity
    of_truth = np.bincount(similar.truth, weights=value, minlength=len(pair.truth))[similar.truth]
    of_guess = np.bincount(similar.prediction, weights=value, minlength=len(pair.prediction))[similar.prediction]
    return np.asarray(value / (of_truth + of_guess - value))


def _at(
    alpha: float, which: Integers, similarity: Doubles, lengths: tuple[Integers | Doubles, Integers | Doubles]
) -> tuple[float, float, float, float, float]:
    """Found detections at one threshold, and their sums of association, its recall and precision, and similarity."""
    enough = similarity >= alpha - _EPSILON
    count = np.bincount(which[enough], minlength=len(lengths[0]))
    both = np.maximum(lengths[0] + lengths[1] - count, 1)
    return (
        float(enough.sum()),
        float((count * (count / both)).sum()),
        float((count * (count / np.maximum(lengths[0], 1))).sum()),
        float((count * (count / np.maximum(lengths[1], 1))).sum()),
        float(similarity[enough].sum()),
    )


def hota_scores(counts: Hota) -> dict[str, Doubles]:
    """HOTA, DetA, AssA, LocA and their recalls and precisions in percent, (19,) each, one a threshold."""
    found = np.maximum(counts.found, 1)
    detection = counts.found / np.maximum(counts.found + counts.missed + counts.invented, 1)
    association = counts.association / found
    return {
        "hota": 100 * np.sqrt(detection * association),
        "deta": 100 * detection,
        "assa": 100 * association,
        "loca": 100 * np.where(counts.found > 0, counts.location / found, 1.0),
        "det_recall": 100 * counts.found / np.maximum(counts.found + counts.missed, 1),
        "det_precision": 100 * counts.found / np.maximum(counts.found + counts.invented, 1),
        "ass_recall": 100 * counts.association_recall / found,
        "ass_precision": 100 * counts.association_precision / found,
    }


@dataclass(frozen=True)
class Identity:
    """IDTP, IDFN and IDFP: detections explained by the best one-to-one pairing of whole tracks, and the others."""

    true_positives: int
    false_negatives: int
    false_positives: int

    def __add__(self, other: Identity) -> Identity:
        return replace(self, **{n: getattr(self, n) + getattr(other, n) for n in self.__dataclass_fields__})

    @property
    def scores(self) -> dict[str, float]:
        """IDF1, IDP and IDR in percent; 0 where there is nothing to divide by."""
        tp, fn, fp = self.true_positives, self.false_negatives, self.false_positives
        return {
            "idf1": 100 * 2 * tp / max(2 * tp + fn + fp, 1),
            "idp": 100 * tp / max(tp + fp, 1),
            "idr": 100 * tp / max(tp + fn, 1),
        }


def identity(pair: Pair, similar: Similar, threshold: float = 0.5) -> Identity:
    """The counts for IDF1 of one sequence: frames in which two tracks are at least `threshold` alike."""
    true_id, _ = _numbered(pair.truth.id)
    guess_id, guess_count = _numbered(pair.prediction.id)
    near = similar.similarity >= threshold
    guesses = max(len(guess_count), 1)
    key, frames = np.unique(
        true_id[similar.truth[near]] * guesses + guess_id[similar.prediction[near]], return_counts=True
    )
    best = best_assignment(key // guesses, key % guesses, frames.astype(float))
    explained = int(frames[best].sum())
    return Identity(explained, len(true_id) - explained, len(guess_id) - explained)


@dataclass(frozen=True)
class PeopleClear:
    """CLEAR counts on whole people; `similarity` sums that of the pairs made."""

    objects: int
    misses: int
    false_positives: int
    switches: int
    matches: int
    similarity: float
    fragments: int
    mostly_tracked: int
    partly_tracked: int
    mostly_lost: int

    def __add__(self, other: PeopleClear) -> PeopleClear:
        return replace(self, **{n: getattr(self, n) + getattr(other, n) for n in self.__dataclass_fields__})

    @property
    def scores(self) -> dict[str, float]:
        """MOTA, MOTP (mean similarity), precision and recall in percent, then the counts."""
        wrong = self.misses + self.false_positives + self.switches
        return {
            "mota": 100 * (1 - wrong / self.objects) if self.objects else float("nan"),
            "motp": 100 * self.similarity / max(self.matches, 1),
            "precision": 100 * self.matches / max(self.matches + self.false_positives, 1),
            "recall": 100 * self.matches / max(self.objects, 1),
            "id_switches": self.switches,
            "fragmentations": self.fragments,
            "mostly_tracked": self.mostly_tracked,
            "partially_tracked": self.partly_tracked,
            "mostly_lost": self.mostly_lost,
            "objects": self.objects,
            "misses": self.misses,
            "false_positives": self.false_positives,
        }


def _people_matches(pair: Pair, similar: Similar, threshold: float, convention: Convention) -> Matches:
    """The pairs that CLEAR makes; for TrackEval frames are numbered without those where either side is empty."""
    slack = _EPSILON if convention == "trackeval" else 0.0
    near = similar.similarity >= threshold - slack
    truth, guess = similar.truth[near], similar.prediction[near]
    frame = pair.truth.frame[truth]
    if convention == "trackeval":
        frame = np.searchsorted(np.intersect1d(pair.truth.frame, pair.prediction.frame), frame)
    ids = _numbered(pair.truth.id)[0], _numbered(pair.prediction.id)[0]
    candidates = Candidates(frame, truth, guess, ids[0][truth], ids[1][guess], 1 - similar.similarity[near])
    return keep_pairs(candidates, convention)


def clear_people(
    pair: Pair, similar: Similar, threshold: float = 0.5, convention: Convention = "trackeval"
) -> PeopleClear:
    """CLEAR counts of one sequence on whole people that are at least `threshold` alike.

    TrackEval and motmetrics pair differently where people crowd (see clear.py), and differ in two counts: a track
    is mostly tracked above 80 % (motmetrics: from 80 % on); TrackEval starts a new fragment when the frame before
    did not have the object, motmetrics when the object's own last appearance was missed.
    """
    matches = _people_matches(pair, similar, threshold, convention)
    tracked = np.zeros(len(pair.truth), bool)
    tracked[matches.truth] = True
    number, appearances = _numbered(pair.truth.id)
    share = np.bincount(number, weights=tracked, minlength=len(appearances)) / np.maximum(appearances, 1)
    most = share > 0.8 if convention == "trackeval" else share >= 0.8
    fragments = _fragments(matches.object, matches.frame)
    if convention == "motmetrics":
        turn = np.empty(len(number), np.int64)
        order = np.lexsort((pair.truth.frame, number))
        turn[order] = np.arange(len(order))
        fragments = _fragments(number[tracked], turn[tracked])
    return PeopleClear(
        objects=len(pair.truth),
        misses=len(pair.truth) - len(matches),
        false_positives=len(pair.prediction) - len(matches),
        switches=int(switches(matches).sum()),
        matches=len(matches),
        similarity=float((1 - matches.cost).sum()),
        fragments=fragments,
        mostly_tracked=int(most.sum()),
        partly_tracked=int(((share >= 0.2) & ~most).sum()),
        mostly_lost=int((share < 0.2).sum()),
    )


def _fragments(objects: Integers, time: Integers) -> int:
    """How often an object's run of consecutive times breaks and begins again."""
    order = np.lexsort((time, objects))
    same = objects[order][1:] == objects[order][:-1]
    return int((same & (np.diff(time[order]) != 1)).sum())


def people_switches(pair: Pair, similar: Similar, threshold: float = 0.5) -> tuple[Matches, NDArray[np.bool_]]:
    """The pairs that CLEAR makes on whole people, and which of them are switches: to draw ids over time."""
    matches = _people_matches(pair, similar, threshold, "motmetrics")
    return matches, switches(matches)
