"""Lints a chart and prints what it renders: CHART [VALUES-FILE | PATH=VALUE]..."""

import json
import sys

import helm_python as helm

chart, *sources = sys.argv[1:]
values = {}


def merge(into, other):
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


for source in sources:
    if "=" in source:
        merge(values, helm.parse_set_string(source))
    else:
        with open(source) as file:
            merge(values, json.load(file))

errors = helm.lint(chart)["errors"]
if errors:
    sys.exit(f"lint: {errors}")
with helm.Chart.load(chart) as loaded:
    try:
        loaded.validate_schema(values)
        rendered = loaded.render(values, name="proxyd", namespace="kube-system")
    except helm.HelmError as error:
        sys.exit(str(error))
for path, text in rendered.items():
    if path.endswith(".yaml") and text.strip():
        print("---", text.strip(), sep="\n")
