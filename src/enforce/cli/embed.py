#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""embed.py OUT FILE…: the descriptions of devices as C, each by its name."""
import os
import sys

out, files = sys.argv[1], sys.argv[2:]
with open(out, "w", encoding="ascii") as f:
    f.write("static const struct {\n\tconst char *name, *text;\n} built_in[] = {\n")
    for path in files:
        name = os.path.splitext(os.path.basename(path))[0]
        f.write(f'\t{{"{name}",\n')
        with open(path, encoding="ascii") as src:
            for line in src.read().splitlines():
                text = line.replace("\\", "\\\\").replace('"', '\\"')
                f.write(f'\t "{text}\\n"\n')
        f.write("\t},\n")
    f.write("};\n")
