#!/bin/bash
# Several hosts on one machine: network namespaces on a bridge, with a delay on every wire; Redis on the first, workers
# on the others, the store in a directory that all see. As root: bench/queue-hosts.sh [HOSTS] [DELAY] [SECONDS_CUT_OFF]
# A worker is cut off in the middle: its trial must go on elsewhere, and it must notice that it has lost it.
set -euo pipefail
hosts="${1:-3}"
delay="${2:-20ms}"
cut="${3:-15}"
root="$(cd "$(dirname "$0")/.." && pwd)"
main="$root/dist/src/cli/main.js"
place="$(mktemp -d /tmp/penni-hosts-XXXXXX)"
pids=()

leave() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  for ((host = 0; host <= hosts; host++)); do ip netns del "penni$host" 2>/dev/null || true; done
  ip link del penni-bridge 2>/dev/null || true
  rm -rf "$place"
}
trap leave EXIT
trap 'exit 1' INT TERM

ip link add penni-bridge type bridge
ip addr add 10.77.0.254/24 dev penni-bridge
ip link set penni-bridge up
for ((host = 0; host <= hosts; host++)); do
  ip netns add "penni$host"
  ip link add "penni-v$host" type veth peer name eth0 netns "penni$host"
  ip link set "penni-v$host" master penni-bridge up
  ip -n "penni$host" addr add "10.77.0.$((host + 1))/24" dev eth0
  ip -n "penni$host" link set eth0 up
  ip -n "penni$host" link set lo up
  ip netns exec "penni$host" tc qdisc add dev eth0 root netem delay "$delay" ||
    echo "no delay: this kernel has no netem" >&2
done

mkdir "$place/redis" "$place/store"
ip netns exec penni0 redis-server --bind 10.77.0.1 --protected-mode no --dir "$place/redis" --appendonly yes \
  --save "" >"$place/redis.log" &
pids+=($!)
sleep 1
export PENNI_QUEUE=redis://10.77.0.1:6379/0

# The sweep stands on the bridge; it makes the store.
node "$root/dist/bench/queue-hosts.js" "$place" 4 &
sweep=$!
pids+=("$sweep")
until [ -e "$place/store/penni-store.json" ]; do sleep 0.2; done
for ((host = 1; host <= hosts; host++)); do
  ip netns exec "penni$host" node "$main" worker --store "$place/store" --work "$place/work" --name "host$host" \
    --lost-after 6 --checkpoint-every 1 > >(sed -u "s/^/host$host: /") 2>&1 &
  pids+=($!)
done
sleep 10
echo "host1 is cut off for $cut s"
ip link set penni-v1 down
sleep "$cut"
ip link set penni-v1 up
echo "host1 is back"
wait "$sweep"
