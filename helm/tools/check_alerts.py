#!/usr/bin/env python3
"""check_alerts.py RULES DASHBOARD TESTS_DIR DOCS_DIR OUT.yaml: what promtool does not check of alert rules and dashboard.

That each alert has a runbook and each runbook an alert; that a test shows each alert both firing and silent; that every metric and
label value in them is one of docs/metrics.md; that the dashboard is whole. Writes the dashboard's queries as rules into OUT.yaml,
for promtool to parse. Prints each fault; exit 1 if there is any.
"""
import json
import pathlib
import re
import sys

import yaml

# Prometheus makes these itself.
BUILT_IN = {"up", "ALERTS"}
SEVERITIES = {"page", "ticket"}
RUNBOOK_PARTS = ["**Meaning.**", "**Who is hit.**", "**Look here.**", "**Do this.**", "**Over when.**"]
METRIC = re.compile(r"\b(?:cmkstore_\w+|process_\w+|up|ALERTS)\b(?!\s*=)")
MATCHER = re.compile(r'(\w+)\s*(=~|!=|=|!~)\s*"((?:[^"\\]|\\.)*)"')

faults = []


def fault(text):
    faults.append(text)


def read_metrics(docs):
    """name -> {label -> values, or None where the page does not list them}"""
    known = {}
    for line in (docs / "metrics.md").read_text().splitlines():
        match = re.match(r"\| `([a-z_]+)` \| (\w+) \| (.*?) \| ", line)
        if not match:
            continue
        name, kind, labels = match.groups()
        values = {}
        for label, text in re.findall(r"`(\w+)`: ([^;]*)", labels):
            listed = {word.strip() for word in text.split(",")}
            values[label] = listed if all(re.fullmatch(r"\w+", word) for word in listed) else None
        for suffix in ("", "_bucket", "_sum", "_count") if kind == "histogram" else ("",):
            known[name + suffix] = dict(values)
    return known


def read_words(root):
    """Values that docs/metrics.md names only by what they are."""
    protos = "".join(p.read_text() for p in sorted((root / "proto/cmkstore/v1").glob("*.proto")))
    reasons = "".join(p.read_text() for p in sorted((root / "base").glob("*.[hc]*")))
    return {"method": set(re.findall(r"rpc (\w+)\(", protos)) | {"WaitOperation"},
            "reason": set(re.findall(r'"([A-Z][A-Z_]+)"', reasons)) | {"other"}}


def check_query(where, query, known, words):
    for name in set(METRIC.findall(query)):
        if name not in known and name not in BUILT_IN:
            fault(f"{where}: no metric {name} in docs/metrics.md")
    for name, inside in re.findall(r"\b(\w+)\{([^}]*)\}", query):
        for label, operator, value in MATCHER.findall(inside):
            if label in {"job", "instance", "namespace"} or name not in known:
                continue
            if label not in known[name]:
                fault(f"{where}: {name} has no label {label}")
                continue
            listed = known[name][label] or words.get(label)
            if listed is None:
                continue
            for word in value.split("|") if operator in {"=~", "!~"} else [value]:
                if not any(re.fullmatch(word, one) for one in listed):
                    fault(f"{where}: {label} of {name} is never {word}")


def check_rules(rules, known, words):
    names = []
    for group in rules["groups"]:
        for rule in group["rules"]:
            name = rule["alert"]
            names.append(name)
            check_query(name, rule["expr"], known, words)
            if rule.get("labels", {}).get("severity") not in SEVERITIES:
                fault(f"{name}: severity must be one of {sorted(SEVERITIES)}")
            if not rule["annotations"].get("summary"):
                fault(f"{name}: has no summary")
            if rule["annotations"].get("runbook_url") != f"docs/operations.md#{name.lower()}":
                fault(f"{name}: runbook_url must be docs/operations.md#{name.lower()}")
    if len(set(names)) != len(names):
        fault("an alert is defined twice")
    return names


def check_runbooks(names, docs):
    sections = re.split(r"^### ", (docs / "operations.md").read_text(), flags=re.M)[1:]
    books = {}
    for section in sections:
        title, _, body = section.partition("\n")
        if title.startswith("Cmkstore"):
            books[title.strip()] = re.split(r"^## ", body, flags=re.M)[0]
    for name in names:
        if name not in books:
            fault(f"{name}: docs/operations.md has no runbook of that name")
    for name, body in books.items():
        if name not in names:
            fault(f"docs/operations.md: the runbook {name} has no alert")
        for part in RUNBOOK_PARTS:
            if part not in body:
                fault(f"docs/operations.md: the runbook {name} does not say {part}")


def check_tests(names, tests):
    fires, silent = set(), set()
    for path in sorted(tests.glob("*_test.yaml")):
        for test in yaml.safe_load(path.read_text())["tests"]:
            alert = test["name"].split(",")[0]
            if alert not in names:
                fault(f"{path.name}: no alert is called {alert}")
            for check in test["promql_expr_test"]:
                shown = any(f'alertname="{alert}"' in sample["labels"] for sample in check["exp_samples"])
                (fires if shown else silent).add(alert)
    for name in names:
        if name not in fires:
            fault(f"{name}: no test shows it firing")
        if name not in silent:
            fault(f"{name}: no test shows it silent")


def check_dashboard(dashboard, known, words):
    queries, ids, titles = [], set(), set()
    for panel in dashboard["panels"]:
        title = panel.get("title", "")
        if panel["id"] in ids:
            fault(f"dashboard: two panels have the id {panel['id']}")
        ids.add(panel["id"])
        if panel["type"] == "row":
            continue
        if not title or title in titles:
            fault(f"dashboard: a panel without a title of its own: {title!r}")
        titles.add(title)
        if not panel.get("description"):
            fault(f"dashboard: {title}: no description")
        if not panel["fieldConfig"]["defaults"].get("unit"):
            fault(f"dashboard: {title}: no unit")
        if not panel["targets"]:
            fault(f"dashboard: {title}: shows nothing")
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "5m")
            check_query(f"dashboard: {title}", query.replace("$job", ".*").replace("$instance", ".*"), known, words)
            queries.append(query)
    queries += [one["expr"] for one in dashboard["annotations"]["list"]]
    boxes = [(p["gridPos"], p.get("title", "")) for p in dashboard["panels"]]
    for i, (a, first) in enumerate(boxes):
        if a["x"] + a["w"] > 24:
            fault(f"dashboard: {first} is wider than the screen")
        for b, second in boxes[i + 1:]:
            if a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]:
                fault(f"dashboard: {first} and {second} overlap")
    return queries


def main():
    rules_path, dashboard_path, tests, docs, out = map(pathlib.Path, sys.argv[1:6])
    known = read_metrics(docs)
    words = read_words(pathlib.Path(__file__).resolve().parents[2])
    names = check_rules(yaml.safe_load(rules_path.read_text()), known, words)
    check_runbooks(names, docs)
    check_tests(names, tests)
    queries = check_dashboard(json.loads(dashboard_path.read_text()), known, words)
    out.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": [
        {"record": f"panel:{i}", "expr": query} for i, query in enumerate(queries)]}]}))
    print("\n".join(faults) if faults else
          f"{len(names)} alerts with runbooks and tests, {len(queries)} queries of the dashboard: all as it should be")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
