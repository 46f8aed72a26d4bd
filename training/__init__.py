"""The kit that makes Enlarger's own nets: photos, degradations, nets, losses, schedule, evaluation, export. See README.md beside it."""

import os

# The matrices of resize.py are small: with threads, OpenBLAS spends four times the CPU time on them. Counts when NumPy is not loaded yet.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
