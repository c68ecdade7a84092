#!/usr/bin/env bash
# Set up an environment beside the sources, then encode, inspect, cut and decode the sample.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-samples/out}
python3 -m venv .venv
.venv/bin/pip install --quiet torch==2.13.0 -e ".[encode]"
mkdir -p "$out"
.venv/bin/csgs-encode --force samples/room.ply "$out/room.csgs"
.venv/bin/csgs-info --verify "$out/room.csgs"
.venv/bin/csgs-truncate --force --level 2 "$out/room.csgs" "$out/room_level2.csgs"
.venv/bin/csgs-decode --force "$out/room.csgs" "$out/room.ply"
ls -l samples/room.ply "$out"
