#!/bin/sh
# Runs a TypeScript file with the newest Node at hand: the one that the lock file brings, else the machine's own.
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
node="$root/node_modules/.bin/node"
[ -x "$node" ] || node=node
exec "$node" --disable-warning=ExperimentalWarning "$@"
