#!/usr/bin/env python3
"""crd_schemas.py OUT CRD.yaml …: writes each version of each CRD as a JSON schema that refuses unknown fields.

Kubernetes takes misspelt fields of custom resources with a warning; a schema that closes every object does not.
"""
import json
import pathlib
import sys

import yaml


def close(schema):
    """Forbids unknown properties, and says int-or-string as JSON schema does."""
    if isinstance(schema, list):
        return [close(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: close(value) for name, value in schema.items()}
    if closed.pop("x-kubernetes-int-or-string", False):
        closed.pop("type", None)
        closed.pop("anyOf", None)
        closed["oneOf"] = [{"type": "string"}, {"type": "integer"}]
    if "properties" in closed and not closed.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed


def main() -> None:
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for path in sys.argv[2:]:
        for crd in yaml.safe_load_all(pathlib.Path(path).read_text()):
            if not crd or crd.get("kind") != "CustomResourceDefinition":
                continue
            for version in crd["spec"]["versions"]:
                schema = close(version["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"type": "object"}
                schema["properties"].setdefault("apiVersion", {"type": "string"})
                schema["properties"].setdefault("kind", {"type": "string"})
                name = f"{crd['spec']['names']['kind'].lower()}_{version['name']}.json"
                (out / name).write_text(json.dumps(schema))


if __name__ == "__main__":
    main()
