#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings on labelled captures: precision and recall at 0.70, per half, with the misses listed.

Usage: eval.py [BUILD]     No root. See tests/eval/run.py.
"""
import os
import sys

RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "eval", "run.py")
os.execv(sys.executable, [sys.executable, "-B", RUN, sys.argv[1] if len(sys.argv) > 1 else "build", "--public", "-v"])
