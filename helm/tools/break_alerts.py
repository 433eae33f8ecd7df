#!/usr/bin/env python3
"""break_alerts.py RULES TESTS_DIR: breaks each alert rule, one at a time, and sees that the tests notice.

Each rule is made to fire always, to fire never, and not to wait; PROMTOOL names the program. Exit 1 if a break goes unnoticed.
"""
import concurrent.futures
import copy
import os
import pathlib
import subprocess
import sys
import tempfile

import yaml

BREAKS = {
    "always fires": lambda rule: rule.update(expr="vector(1)") or rule.pop("for", None),
    "never fires": lambda rule: rule.update(expr=f"({rule['expr']}) and on () vector(0) > 1"),
    "does not wait": lambda rule: rule.pop("for", None),
}


def tests_of(tests, alert):
    """The test files cut to the tests of that alert."""
    found = []
    for path in sorted(tests.glob("*_test.yaml")):
        page = yaml.safe_load(path.read_text())
        page["tests"] = [one for one in page["tests"] if one["name"].split(",")[0] == alert]
        if page["tests"]:
            found.append(page)
    return found


def is_noticed(rules, pages):
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "rules.yaml").write_text(yaml.safe_dump(rules))
        for page in pages:
            path = pathlib.Path(folder) / "test.yaml"
            path.write_text(yaml.safe_dump({**page, "rule_files": ["rules.yaml"]}))
            if subprocess.run([os.environ["PROMTOOL"], "test", "rules", str(path)], capture_output=True).returncode:
                return True
    return False


def main():
    rules = yaml.safe_load(pathlib.Path(sys.argv[1]).read_text())
    tests = pathlib.Path(sys.argv[2])
    jobs = []
    for g, group in enumerate(rules["groups"]):
        for r, rule in enumerate(group["rules"]):
            pages = tests_of(tests, rule["alert"])
            if is_noticed(rules, pages):
                print(f"{rule['alert']}: its tests fail as they are")
                return 1
            for name, apply in BREAKS.items():
                if name == "does not wait" and "for" not in rule:
                    continue
                broken = copy.deepcopy(rules)
                apply(broken["groups"][g]["rules"][r])
                jobs.append((rule["alert"], name, broken, pages))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        noticed = list(pool.map(lambda job: is_noticed(job[2], job[3]), jobs))
    missed = [job for job, seen in zip(jobs, noticed) if not seen]
    for alert, name, _, _ in missed:
        print(f"{alert}: no test notices that it {name}")
    print(f"{len(jobs) - len(missed)} of {len(jobs)} breaks were noticed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
