#!/usr/bin/env python3
"""Writes the schema of `config` into the chart's values.schema.json: config_schema.py CONFIGURATION_MD SCHEMA_JSON.

The reference is made from the server's own settings, so that the chart refuses what the server would refuse at its start:
unknown names, wrong types, and numbers out of bounds. Bounds of durations and sizes are left to the server. A list may be null, as
it may in the server's file: Helm's way to drop one that other values have. Lists in entries of lists are not merged, so not dropped.
"""

import json
import re
import sys

DURATION = {"type": "string", "pattern": r"^([0-9]*\.?[0-9]+(ns|us|ms|s|m|h))+$"}
SIZE = {"type": "string", "pattern": "^[0-9]+(KiB|MiB|GiB)$"}
ROW = re.compile(r"^\| (?P<bold>\*\*)?`(?P<path>[a-z_.\[\]]+)`(?:\*\*)? \|(?P<write>[^|]*)\|[^|]*\|(?P<bounds>[^|]*)\|")


def number(kind, bounds):
    low, high = (json.loads(bound) for bound in bounds.split(" to "))
    return {"type": kind, "minimum": low, "maximum": high}


def schema_of(write, bounds):
    if write == "text":
        return {"type": "string"}
    if write == "true or false":
        return {"type": "boolean"}
    if write.startswith("one of "):
        return {"enum": write.removeprefix("one of ").split(", ")}
    if write.startswith("a duration"):
        return DURATION
    if write.startswith("a size"):
        return SIZE
    if write.startswith("a whole number"):
        return number("integer", bounds)
    if write.startswith("a number"):
        return number("number", bounds)
    sys.exit(f"config_schema: the reference says to write {write!r}, which has no schema here")


def section():
    return {"type": "object", "additionalProperties": False, "properties": {}}


def insert(root, path, schema):
    """Puts the schema at a path such as quotas.tenants[].burst, whose sections are there already."""
    at = root
    *sections, last = path.split(".")
    for name in sections:
        at = at["properties"][name.removesuffix("[]")]
        at = at.get("items", at)
    if last.endswith("[]"):
        schema = {"type": "array" if "[]" in "".join(sections) else ["array", "null"], "items": schema}
    at["properties"][last.removesuffix("[]")] = schema


def config_schema(reference):
    root = section()
    options = 0
    for line in reference:
        row = ROW.match(line)
        if not row:
            continue
        write = row["write"].strip()
        insert(root, row["path"], section() if row["bold"] else schema_of(write, row["bounds"].strip()))
        options += 1
    if not options:
        sys.exit("config_schema: the reference has no table of options")
    return root


def layout(value, indent=""):
    """JSON in which whatever fits into a line of 100 columns or so takes one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent + line) <= 100 or not isinstance(value, (dict, list)) or not value:
        return line
    deeper = indent + " "
    if isinstance(value, list):
        inner = [deeper + layout(one, deeper) for one in value]
        return "[\n" + ",\n".join(inner) + "\n" + indent + "]"
    inner = [f"{deeper}{json.dumps(key)}: {layout(one, deeper)}" for key, one in value.items()]
    return "{\n" + ",\n".join(inner) + "\n" + indent + "}"


def main():
    reference_path, schema_path = sys.argv[1:]
    with open(reference_path, encoding="utf-8") as reference:
        config = config_schema(reference)
    with open(schema_path, encoding="utf-8") as file:
        schema = json.load(file)
    schema["properties"]["config"] = config
    with open(schema_path, "w", encoding="utf-8") as file:
        file.write(layout(schema) + "\n")


main()
