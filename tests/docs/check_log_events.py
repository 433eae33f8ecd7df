#!/usr/bin/env python3
"""Holds docs/log_events.md against the code: each event that is logged has one row with its level, and each row an event.

check_log_events.py SOURCE_DIR; --self-test shows that what is missing is found.
"""
import pathlib
import re
import sys

FOLDERS = ("base", "crypto", "vault", "keycache", "store", "search", "service")
CALL = re.compile(r"(?<![\w:])Log\((?!LogLevel level)")
ROW = re.compile(r"^\| `([a-z_]+)` \| (\w+) \| .+ \| .+ \|$", re.MULTILINE)


def arguments(text: str, begin: int) -> list[str]:
    """The first two arguments of the call whose parenthesis opens just before `begin`."""
    found, depth, start = [], 0, begin
    for at in range(begin, len(text)):
        if depth == 0 and text[at] in ",)":
            found.append(text[start:at])
            start = at + 1
            if len(found) == 2 or text[at] == ")":
                break
        depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(text[at], 0)
    return found


def logged(text: str) -> dict[str, set[str]]:
    """Events of a source file with the levels that stand at their calls; none where a level is computed."""
    events: dict[str, set[str]] = {}
    for call in CALL.finditer(text):
        level, event = arguments(text, call.end())
        levels = {one.lower() for one in re.findall(r"LogLevel::k(\w+)", level)}
        names = re.findall(r'"([a-z_]+)"', event)
        if not names:
            raise SystemExit(f"check_log_events: an event is no constant: Log({level},{event}")
        for name in names:
            events.setdefault(name, set()).update(levels)
    return events


def compare(events: dict[str, set[str]], page: str) -> list[str]:
    rows: dict[str, str] = {}
    faults = []
    for name, level in ROW.findall(page):
        if name in rows:
            faults.append(f"`{name}` has two rows")
        rows[name] = level
    faults += [f"`{name}` is logged and has no row" for name in sorted(events.keys() - rows.keys())]
    faults += [f"`{name}` has a row and is not logged" for name in sorted(rows.keys() - events.keys())]
    for name in sorted(events.keys() & rows.keys()):
        if events[name] and rows[name] not in events[name]:
            faults.append(f"`{name}` is logged at {'/'.join(sorted(events[name]))}, the row says {rows[name]}")
    return faults


def self_test() -> None:
    code = 'Log(LogLevel::kInfo, "a",\n {{"f(,", x}}); Log(up ? LogLevel::kInfo : LogLevel::kError, up ? "b" : "c"); Log(level, "d");'
    row = "| `{}` | {} | Meaning. | nothing |\n".format
    whole = row("a", "info") + row("b", "info") + row("c", "error") + row("d", "debug")
    assert compare(logged(code), whole) == []
    assert compare(logged(code), whole.replace(row("c", "error"), "")) == ["`c` is logged and has no row"]
    assert compare(logged(code), whole + row("e", "info")) == ["`e` has a row and is not logged"]
    assert compare(logged(code), whole + row("a", "info")) == ["`a` has two rows"]
    assert compare(logged(code), whole.replace(row("a", "info"), row("a", "error"))) == [
        "`a` is logged at info, the row says error"]


def main() -> int:
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return 0
    root = pathlib.Path(sys.argv[1])
    events: dict[str, set[str]] = {}
    for folder in FOLDERS:
        for source in sorted((root / folder).rglob("*.cc")):
            for name, levels in logged(source.read_text()).items():
                events.setdefault(name, set()).update(levels)
    faults = compare(events, (root / "docs/log_events.md").read_text())
    for fault in faults:
        print(f"docs/log_events.md: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
