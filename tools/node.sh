#!/bin/sh
# Runs a TypeScript file with the newest Node at hand: the one that the lock file brings, else the machine's own. Compiled code is kept in a folder of the
# user's own: stripping the types of several hundred files and compiling them is half of a start, and its tools stay in memory.
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
node="$root/node_modules/.bin/node"
[ -x "$node" ] || node=node
cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
[ -z "$cache" ] || export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE-$cache/typernetes/compiled}"
# Objects may have 10,000 levels, as upstream's, and whatever looks at them goes as deep.
stack=
if ulimit -S -s 32768 2>/dev/null; then stack=--stack-size=30000; fi
exec "$node" $stack --disable-warning=ExperimentalWarning "$@"
