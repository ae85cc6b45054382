#!/usr/bin/python3
"""Writes the golden cases: `build.py DIRECTORY`.

Packets and expectations are built by scapy from the RFCs and docs/behaviour.md, never from what
the relay said. Each case becomes DIRECTORY/THEME/NAME/WIRING/ with lwaftr.toml, the captures that
arrive and must leave, counters.json (every counter that is not zero) and case.json.
"""

import importlib
import sys
from pathlib import Path

import case


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: build.py DIRECTORY")
    here = Path(__file__).parent
    for module in sorted(here.glob("cases_*.py")):
        importlib.import_module(module.stem)
    written = case.write_all(sys.argv[1])
    print(f"{len(case.CASES)} cases, {written} directories")


if __name__ == "__main__":
    main()
