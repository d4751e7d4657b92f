#!/usr/bin/env bash
# Builds the image from a binary of this machine, runs it as deploy/README.md says, and looks at it from
# outside. Wants root, docker, dockerd and curl. Starts a daemon of its own if none answers.
#   BINARY=PATH           a static m3ring instead of building one
#   DEFAULT_PROFILE=PATH  what the daemon that is started here takes for its own seccomp profile: Docker
#                         before 25 allows io_uring by itself, and a later one's can be tried this way
set -euo pipefail
cd "$(dirname "$0")/../.."
here=$PWD/deploy/docker
work=$(mktemp -d)
image=m3ring:test
names=()

cleanup() {
  for name in "${names[@]}"; do docker rm -f -v "$name" >/dev/null 2>&1 || true; done
  docker volume rm m3ring-test >/dev/null 2>&1 || true
  if [ -f "$work/dockerd.pid" ]; then
    kill "$(cat "$work/dockerd.pid")"
    for _ in $(seq 50); do [ -f "$work/dockerd.pid" ] || break; sleep 0.2; done
  fi
  rm -rf "$work" 2>/dev/null || true
}
trap cleanup EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
ok() { echo "ok: $*"; }

if ! docker info >/dev/null 2>&1; then
  export DOCKER_HOST=unix://$work/docker.sock
  dockerd --host "$DOCKER_HOST" --data-root "$work/data" --exec-root "$work/exec" \
    --pidfile "$work/dockerd.pid" ${DEFAULT_PROFILE:+--seccomp-profile "$DEFAULT_PROFILE"} \
    >"$work/dockerd.log" 2>&1 &
  for _ in $(seq 100); do docker info >/dev/null 2>&1 && break; sleep 0.2; done
  docker info >/dev/null 2>&1 || { tail -20 "$work/dockerd.log"; fail "no daemon"; }
fi
echo "docker $(docker version --format '{{.Server.Version}}'), kernel $(uname -r)"

binary=${BINARY:-}
if [ -z "$binary" ]; then
  target=$(rustc -vV | sed -n 's/^host: //p')
  RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --release --target "$target" -p m3ring
  binary=${CARGO_TARGET_DIR:-target}/$target/release/m3ring
fi
file "$binary" 2>/dev/null | grep -q "statically linked\|static-pie" || ldd "$binary" 2>&1 |
  grep -q "statically linked\|not a dynamic" || fail "$binary is not static"

# The last stage of the Dockerfile, with this machine's binary where the build stage's would be.
mkdir -p "$work/context/image/m3db"
cp "$binary" "$work/context/image/m3ring"
strip --strip-debug "$work/context/image/m3ring"
cp "$here/m3ring.yml" "$work/context/image/m3dbnode.yml"
sed -n '/^FROM scratch/,$p' Dockerfile | sed 's/^COPY --from=build /COPY /; s/ \/image\// image\//' \
  >"$work/context/Dockerfile"
docker build -q -t "$image" "$work/context" >/dev/null
size=$(docker image inspect --format '{{.Size}}' "$image")
ok "image $image, $((size / 1048576)) MiB"

# A daemon can give no more than it has.
hard=$(ulimit -Hn)
nofile=$([ "$hard" = unlimited ] || [ "$hard" -gt 65536 ] && echo 65536 || echo "$hard")

# start NAME DOCKER-OPTIONS...: a container with all that is hardened, published on free ports.
start() {
  local name=$1
  shift
  names+=("$name")
  docker run -d --name "$name" --read-only --cap-drop ALL --security-opt no-new-privileges \
    --ulimit nofile="$nofile" -p 127.0.0.1::7201 -p 127.0.0.1::7203 "$@" "$image" >/dev/null
  api=$(docker port "$name" 7201/tcp | head -1)
  metrics=$(docker port "$name" 7203/tcp | head -1)
  for _ in $(seq 100); do
    curl -sf "http://$api/health" >/dev/null && return
    sleep 0.1
  done
  docker logs "$name"
  fail "$name does not serve"
}
driver() { curl -s "http://$metrics/metrics" | sed -n 's/^m3ring_io_driver{driver="\([a-z_]*\)".*/\1/p'; }
write() {
  curl -sf "http://$api/api/v1/json/write" \
    -d "{\"tags\":{\"__name__\":\"kept\"},\"timestamp\":\"$(date +%s)\",\"value\":$1}"
}
value() { curl -s "http://$api/api/v1/query?query=last_over_time(kept%5B1h%5D)" | sed 's/.*,"\([0-9.]*\)"\].*/\1/'; }
healthy() {
  for _ in $(seq 150); do
    [ "$(docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ] && return
    sleep 0.2
  done
  fail "$1 is $(docker inspect --format '{{json .State.Health}}' "$1")"
}

start m3ring-default -v m3ring-test:/var/lib/m3db
ok "Docker's own profile: driver $(driver), uid $(docker exec m3ring-default /m3ring --version >/dev/null &&
  docker inspect --format '{{.Config.User}}' m3ring-default), read-only root, no capabilities"
docker logs m3ring-default 2>&1 | grep -i "io_uring is not in use" || true
[ -z "${DEFAULT_PROFILE:-}" ] || [ "$(driver)" = epoll ] || fail "the profile should have refused io_uring"
write 42
healthy m3ring-default
ok "HEALTHCHECK says healthy"
docker kill m3ring-default >/dev/null
docker rm m3ring-default >/dev/null

start m3ring-ring -v m3ring-test:/var/lib/m3db --security-opt "seccomp=$here/seccomp.json"
[ "$(driver)" = io_uring ] || fail "with our profile the driver is $(driver)"
ok "our profile: driver $(driver)"
[ "$(value)" = 42 ] || fail "what was written before the kill reads $(value)"
ok "written before docker kill, read by the next container from the volume: $(value)"
write 43
healthy m3ring-ring
ok "HEALTHCHECK says healthy"
begun=$(date +%s%N)
docker restart m3ring-ring >/dev/null
ok "docker restart took $((($(date +%s%N) - begun) / 1000000)) ms, exit code was $(docker inspect --format '{{.State.ExitCode}}' m3ring-ring)"
api=$(docker port m3ring-ring 7201/tcp | head -1)
metrics=$(docker port m3ring-ring 7203/tcp | head -1)
for _ in $(seq 100); do curl -sf "http://$api/health" >/dev/null && break; sleep 0.1; done
[ "$(value)" = 43 ] || fail "after the restart it reads $(value)"
docker rm -f m3ring-ring >/dev/null

# The line that M3's readme gives, with our image's name.
names+=(m3db)
(cd "$work" && docker run -d --name m3db -p 7201:7201 -p 7203:7203 -v "$(pwd)/m3db_data:/var/lib/m3db" "$image" >/dev/null)
# The daemon has made m3db_data as root, and the node is nobody.
for _ in $(seq 100); do curl -sf http://localhost:7201/health >/dev/null && break; sleep 0.1; done
api=localhost:7201
metrics=localhost:7203
write 44
[ "$(value)" = 44 ] || fail "M3's docker run line reads $(value)"
[ -d "$work/m3db_data/commitlog" ] || fail "nothing in the mounted directory: $(ls -la "$work/m3db_data")"
ok "docker run -p 7201:7201 -p 7203:7203 -v \$(pwd)/m3db_data:/var/lib/m3db: driver $(driver), data in m3db_data"
echo "all is well"
