#!/bin/sh
# Installs what is missing, says so first, and is silent when nothing is: npm packages by the lock file and, as root on a Debian-like
# system, the programs that nodes are made of. T8S_NO_SYSTEM_PACKAGES=1 skips the second part; without them the `process` runtime runs the pods.
set -eu
cd "$(dirname -- "$0")/.."

# A node_modules that is a link is somebody else's: it is used as it is.
if [ ! -L node_modules ] && { [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; }; then
  echo "setup: installing npm packages (npm ci)"
  npm ci --ignore-scripts --no-audit --no-fund --no-progress --loglevel=error
  touch node_modules/.package-lock.json
fi

# What `kubectl explain` says of fields, taken from the client library's comments.
if { [ ! -e build/descriptions.json ] || [ tools/generate/descriptions.ts -nt build/descriptions.json ]; } && [ -d node_modules/@kubernetes/client-node ]; then
  mkdir -p build
  sh tools/node.sh tools/generate/descriptions.ts build/descriptions.json >/dev/null
fi

[ "${T8S_NO_SYSTEM_PACKAGES:-}" != 1 ] || exit 0
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && command -v dpkg-query >/dev/null || exit 0

packages="containerd runc containernetworking-plugins iptables nftables ipset ipvsadm conntrack iproute2"
# What only tests need: programs to put into images, genuine etcd to compare with, a kernel with cgroup version 2.
[ "${1:-}" != test ] || packages="$packages busybox-static etcd-server etcd-client user-mode-linux kmod"
missing=""
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "setup: installing system packages:$missing (T8S_NO_SYSTEM_PACKAGES=1 skips this)"
log=$(mktemp)
# Debian starts some of these as services; a cluster starts its own, so nothing may start here.
policy=/usr/sbin/policy-rc.d
made=""
if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy && made=1; fi
if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
  echo "setup: apt-get failed; going on without:"
  tail -n 5 "$log"
fi
[ -z "$made" ] || rm -f $policy
rm -f "$log"
