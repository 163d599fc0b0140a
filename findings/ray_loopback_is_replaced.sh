#!/usr/bin/env bash
# ray 2.60.0: ray.init(address="local", _node_ip_address="127.0.0.1") replaces the loopback address by the machine's own,
# and the control store of the cluster then listens on every interface. With RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0, which
# is about Windows and macOS by its name and is read when ray is imported, it stays on loopback on Linux, too.
# Seen: 'as asked: node <its address>, listens on every interface', 'with the variable: node 127.0.0.1, listens on loopback'.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ray==2.60.0
cat >"$folder/check.py" <<'PY'
import sys
from pathlib import Path

import ray

name, stays = sys.argv[1], sys.argv[2] == "stays"
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
rows = [line.split() for kind in ("tcp", "tcp6") for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]]
where = {row[1].partition(":")[0] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == int(port)}
loopback = all(address.endswith("0100007F") for address in where)
print(f"{name}: node {host}, listens on {'loopback' if loopback else 'every interface'}")
ray.shutdown()
assert where
assert (host == "127.0.0.1", loopback) == (stays, stays)
PY
export HOME="$folder" RAY_USAGE_STATS_ENABLED=0
"$folder/venv/bin/python" "$folder/check.py" "as asked" moves
RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 "$folder/venv/bin/python" "$folder/check.py" "with the variable" stays
