"""Scores of tracked poses and boxes that agree with the field's own tools, without torch.

load.py, boxes.py            files and folders -> people.Pair: truth and prediction of a sequence as columns
joints.py, similarity.py     which joints and which people are near each other
matching.py                  assignments, many at once
average_precision.py         AP per joint            (poseval)
clear.py, mota.py            CLEAR; MOTA per joint   (motmetrics, TrackEval; poseval)
identity.py                  HOTA, IDF1, CLEAR on whole people
reference.py, pck.py         PCK, PCKh, PDJ, PCP
coco.py                      AP and AR               (pycocotools)
report.py                    all of these as one record; tables.py, plots.py, worst.py, overlays.py show it
thresholds.py, ablation.py   what a threshold trades; the paper's table 5
"""
