#!/usr/bin/env python3
"""docs/conformance.md names tests: each must exist, and each key of docs/limits.md must have one.
Run by ctest; prints each breach."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TEST = re.compile(r"^\s*TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\s*\)", re.MULTILINE)
# A row of such a table begins with the key that it is about.
KEY = re.compile(r"^\| `((?:timeouts|limits)\.\w+)` \|", re.MULTILINE)
# In a row of a table, `Suite.Name` names a test; a suite begins with a capital letter.
NAMED = re.compile(r"`([A-Z]\w*\.\w+)`")


def existing():
    found = set()
    for folder, _, files in os.walk(os.path.join(ROOT, "tests")):
        for name in files:
            if name.endswith(".cc"):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    found.update(".".join(test) for test in TEST.findall(file.read()))
    return found


def keys_of(name):
    with open(os.path.join(ROOT, "docs", name), encoding="utf-8") as file:
        return set(KEY.findall(file.read()))


def main():
    tests = existing()
    breaches = []
    named = 0
    with open(os.path.join(ROOT, "docs", "conformance.md"), encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.startswith("| "):
                continue
            names = NAMED.findall(line)
            named += len(names)
            breaches += [f"docs/conformance.md:{number}: there is no test {name}"
                         for name in names if name not in tests]
    keys = [keys_of(name) for name in ("limits.md", "conformance.md")]
    breaches += [f"docs/conformance.md: no test is named for {key} of docs/limits.md"
                 for key in sorted(keys[0] - keys[1])]
    breaches += [f"docs/conformance.md: docs/limits.md knows no {key}"
                 for key in sorted(keys[1] - keys[0])]
    if named < 100 or len(keys[0]) < 20:
        breaches.append(f"docs/conformance.md names {named} tests: the tables were not understood")
    print("\n".join(breaches) or f"{named} names, {len(tests)} tests")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
