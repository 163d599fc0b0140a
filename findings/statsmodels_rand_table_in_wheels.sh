#!/usr/bin/env bash
# statsmodels: the wheel of 0.14.6 ships the loader of the RAND Health Insurance Experiment (datasets/randhie/data.py),
# but not the published table src/randhie.csv (20,190 person-years with the persons' numbers). The wheel of 0.15.0 has
# it. A requirement of statsmodels>=0.14 is met by both.
# Seen: '0.14.6: src/randhie.csv False', '0.15.0: src/randhie.csv True'.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
for version in 0.14.6 0.15.0; do
    "$folder/venv/bin/pip" install --quiet --no-deps --only-binary=:all: --target "$folder/$version" "statsmodels==$version"
    there=False
    [ -f "$folder/$version/statsmodels/datasets/randhie/data.py" ] || exit 1
    [ -f "$folder/$version/statsmodels/datasets/randhie/src/randhie.csv" ] && there=True
    echo "$version: src/randhie.csv $there"
done | tee "$folder/seen"
grep -qx '0.14.6: src/randhie.csv False' "$folder/seen"
grep -qx '0.15.0: src/randhie.csv True' "$folder/seen"
