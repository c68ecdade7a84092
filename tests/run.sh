#!/usr/bin/env bash
# Set up an environment beside the sources, check style and types, run the tests.
set -euo pipefail
cd "$(dirname "$0")/.."
python3 -m venv .venv
.venv/bin/pip install --quiet torch==2.13.0 -e ".[encode,eval,dev]"
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/python -m pytest --cov --cov-report=term
if command -v npm >/dev/null; then
    cd web
    npm ci --silent
    npm test
    if [ -x "${CHROMIUM:-/usr/bin/chromium}" ]; then
        npm run test:browser
    else
        echo "NOT TESTED: the viewer page needs Chromium" >&2
    fi
else
    echo "NOT TESTED: the web decoder needs Node.js" >&2
fi
