#!/usr/bin/env python3
"""The rules of the repository that a compiler can't see. Run by ctest; prints each breach."""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Room → the rooms that it may include. Longest prefix names the room of a file.
MAY_SEE = {
    "proxy/base": {"proxy/base"},
    "conf": {"conf", "proxy/base"},
    "tls": {"tls", "conf", "proxy/base"},
    "routing": {"routing", "conf", "proxy/base"},
    "health": {"health", "conf", "proxy/base"},
    "admin": {"admin", "routing", "health", "conf", "proxy/base"},
    "proxy/io": {"proxy/io", "proxy/base"},
    "proxy/http": {"proxy/http", "proxy/base"},
    "proxy/h2": {"proxy/h2", "proxy/http", "proxy/base"},
    "proxy/data": {"proxy/data", "proxy/io", "proxy/http", "proxy/h2", "tls", "routing", "admin", "conf",
                   "proxy/base"},
    "proxy/control": {"proxy/control", "proxy/data", "proxy/io", "proxy/http", "tls", "routing",
                      "health", "admin", "conf", "proxy/base"},
    "proxy/cli": {"proxy/cli", "proxy/io", "tls", "admin", "conf", "proxy/base"},
    "proxy/demo": {"proxy/demo", "proxy/control", "proxy/data", "proxy/io", "proxy/http", "tls",
                   "admin", "conf", "proxy/base"},
    "proxy/cli": {"proxy/cli", "proxy/demo", "proxy/control", "proxy/io", "proxy/http", "proxy/h2", "tls",
                  "routing", "admin", "conf", "proxy/base"},
}
# Headers of the operating system that move bytes: only proxy/ has a use for them.
IO_HEADERS = re.compile(r'#include <(sys/socket|sys/epoll|liburing|netinet/|netdb|poll)')
OPENSSL = re.compile(r'#include <openssl/')
FILE_LINES_MAX = 700


def room_of(path):
    best = None
    for room in MAY_SEE:
        if path.startswith(room + "/") and (best is None or len(room) > len(best)):
            best = room
    return best


def tracked():
    try:
        out = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"],
                             check=True, capture_output=True, text=True).stdout
        return [path for path in out.splitlines() if os.path.exists(os.path.join(ROOT, path))]
    except (OSError, subprocess.CalledProcessError):
        found = []
        for folder, folders, files in os.walk(ROOT):
            folders[:] = [f for f in folders if f not in ("build", ".git", ".cache")]
            found += [os.path.relpath(os.path.join(folder, f), ROOT) for f in files]
        return found


def check_file(path, breaches):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        lines = file.read().split("\n")
    room = room_of(path)
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        included = re.match(r'#include "([^"]+)"', line)
        if included and room:
            target = room_of(included.group(1))
            if target and target not in MAY_SEE[room]:
                breaches.append(f"{where}: {room} must not include {target}")
            if included.group(1).startswith(("tests/", "bench/")):
                breaches.append(f"{where}: the product must not include its tests")
        if room and not room.startswith("proxy/") and IO_HEADERS.match(line):
            breaches.append(f"{where}: only proxy/ does I/O")
        if OPENSSL.match(line) and room and room != "tls":
            breaches.append(f"{where}: <openssl/…> stays inside tls/")
        if re.search(r'\b(TODO|FIXME|XXX)\b', line) and room:
            breaches.append(f"{where}: unfinished")
    if room and len(lines) > FILE_LINES_MAX:
        breaches.append(f"{path}: {len(lines)} lines; would it still be one idea in a sentence?")
    if path.endswith(".h") and room and "#pragma once" not in lines:
        breaches.append(f"{path}: no #pragma once")
    if path.endswith(".h") and room and not lines[0].startswith("//") and path != "proxy/base/check.h":
        breaches.append(f"{path}: opens without saying what it is for")


def check_dead_files(paths, breaches):
    """A source that no CMakeLists.txt names is dead; so is a header that nobody includes."""
    listed = ""
    for path in paths:
        if path.endswith("CMakeLists.txt"):
            with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                listed += file.read()
    includes = set()
    for path in paths:
        if path.endswith((".h", ".cc")):
            with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                includes.update(re.findall(r'#include "([^"]+)"', file.read()))
    for path in paths:
        name = os.path.basename(path)
        # Some lists name programs and themes: relay_floor, or proxying for proxying_test.cc.
        names = {name, name.removesuffix(".cc"), name.removesuffix("_test.cc")}
        if path.endswith(".cc") and not any(
                re.search(r'\b' + re.escape(each) + r'\b', listed) for each in names):
            breaches.append(f"{path}: no CMakeLists.txt builds it")
        if path.endswith(".h") and path not in includes:
            breaches.append(f"{path}: nobody includes it")


def main():
    paths = tracked()
    breaches = []
    for path in paths:
        if path.endswith((".h", ".cc")):
            check_file(path, breaches)
    check_dead_files(paths, breaches)
    for executable in ("demo", "check", ".ci/run", ".ci/packages", "bench/run"):
        if not os.access(os.path.join(ROOT, executable), os.X_OK):
            breaches.append(f"{executable}: is missing or has no run bit")
    for breach in breaches:
        print(breach)
    print(f"{len(paths)} files, {len(breaches)} breaches")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
