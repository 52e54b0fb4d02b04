#!/bin/sh
# Stock Redis clients against three replicas: redis-cli in both versions of the protocol, redis-benchmark against each port while
# all replicas are up, redis-py with its defaults: pipelines, loops of WATCH, keys that end, SCAN; and a door with a password. A tool
# that is not installed is skipped, and named; STRICT=1 makes that a failure.
#
# Usage: real_clients.sh [path of the program] [first port]
set -eu

program=${1:-target/release/vsr-kv}
port=${2:-7379}
requests=${REQUESTS:-100000}
ports="$port $((port + 1)) $((port + 2))"
log=$(mktemp)
data=$(mktemp -d)
server=

finish() {
    code=$?
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
    rm -rf "$log" "$data"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

have() {
    if command -v "$1" >/dev/null 2>&1; then return 0; fi
    skip "$1"
    return 1
}

skip() {
    echo "skipped: $1 is not installed"
    if [ "${STRICT:-0}" = 1 ]; then fail "$1 is not installed"; fi
}

# expect <wanted> <command...>: the output must be that, line ends aside.
expect() {
    wanted=$1
    shift
    got=$("$@" 2>&1 | tr -d '\r')
    [ "$got" = "$wanted" ] || fail "$*: got '$got', not '$wanted'"
}

# The banner is written when there is a primary.
"$program" dev --port "$port" --memory >"$log" 2>&1 &
server=$!
until grep -q 'Ctrl-C' "$log"; do
    kill -0 "$server" 2>/dev/null || { cat "$log"; server=; fail "the server does not start"; }
    sleep 0.1
done

if have redis-cli; then
    for p in $ports; do
        for flags in "" "-3"; do
            # shellcheck disable=SC2086
            cli="redis-cli $flags -p $p"
            expect PONG $cli PING
            expect OK $cli SET "key:$p" value
            expect value $cli GET "key:$p"
            expect "" $cli GET missing
            expect "ERR value is not an integer or out of range" $cli INCR "key:$p"
            expect 1 $cli CAS "key:$p" value other
            expect 1 $cli DEL "key:$p"
            # As in a terminal: several commands over one connection, after the questions redis-cli asks by itself.
            got=$(printf 'SET a 1\nINCR a\nHELP get\nGET a\n' | $cli | tr -d '\r' | grep -cx -e OK -e 2)
            [ "$got" = 3 ] || fail "$cli with commands from its input"
        done
    done
    status=$(redis-cli -p "$port" VSR.STATUS)
    for word in view primary op commit applied; do
        echo "$status" | grep -qx "$word" || fail "VSR.STATUS has no $word"
    done
    echo "redis-cli: ok"
fi

if have redis-benchmark; then
    for p in $ports; do
        for pipeline in 1 16; do
            out=$(redis-benchmark -p "$p" -t set,get,incr -n "$requests" -c 50 -P "$pipeline" -q 2>&1 | tr '\r' '\n') ||
                fail "redis-benchmark at port $p, -P $pipeline: $out"
            summary=$(echo "$out" | grep 'requests per second' | sed 's/ requests per second//; s/, p50=/ (p50 /; s/ msec.*/ ms)/')
            [ "$(echo "$summary" | wc -l)" = 3 ] || fail "redis-benchmark at port $p, -P $pipeline: $out"
            echo "redis-benchmark at port $p, -P $pipeline: $(echo "$summary" | tr '\n' ' ')"
        done
    done
fi

if have python3 && python3 -c 'import redis' 2>/dev/null; then
    python3 - $ports <<'PYTHON'
import concurrent.futures
import sys
import time
import redis

for port in map(int, sys.argv[1:]):
    for arguments in ({}, {"protocol": 2}, {"protocol": 3, "decode_responses": True}):
        client = redis.Redis(port=port, **arguments)
        text = (lambda value: value) if arguments.get("decode_responses") else (lambda value: value.encode())
        assert client.ping()
        client.flushdb()
        assert client.set("k", "v") and client.get("k") == text("v") and client.get("missing") is None
        assert client.set("k", "w", nx=True) is None
        assert client.set("k", "w", xx=True, get=True) == text("v")
        assert client.incr("n") == 1 and client.decr("n", 5) == -4
        assert client.mset({"a": 1, "b": 2}) and client.mget("a", "x", "b") == [text("1"), None, text("2")]
        assert client.append("k", "!") == 2 and client.strlen("k") == 2 and client.type("k") == text("string")
        assert client.exists("k", "x") == 1 and client.delete("k", "x") == 1 and client.dbsize() == 3
        pipeline = client.pipeline(transaction=False)
        for _ in range(2000):
            pipeline.incr("p")
        assert pipeline.execute()[-1] == 2000
        assert client.info()["redis_version"] and "save" in client.config_get("save")
        for refused in (lambda: client.set("k", "v", ex=0), lambda: client.incr("k"), lambda: client.copy("k", "l")):
            client.set("k", "v")
            try:
                refused()
            except redis.ResponseError:
                continue
            raise AssertionError("an error was expected")
        assert len(client.execute_command("VSR.STATUS")) == 3

        # Keys that end.
        assert client.set("e", "v", ex=100) and client.ttl("e") == 100 and client.getex("e", persist=True) == text("v")
        assert client.ttl("e") == -1 and client.expire("e", 50, nx=True) and not client.expire("e", 10, gt=True)
        assert client.persist("e") and client.pexpire("e", 30) and client.set("e2", "v", px=30)
        until = time.monotonic() + 10
        while client.get("e") is not None or client.exists("e2"):
            assert time.monotonic() < until, "keys do not end"

        # Going through the keys.
        client.mset({"scan:%d" % number: number for number in range(500)})
        assert len(set(client.scan_iter(match="scan:*", count=50))) == 500
        assert len(client.keys("scan:?")) == 10 and client.randomkey() is not None

        # A pipeline is a transaction, unless told otherwise.
        pipeline = client.pipeline()
        for _ in range(3000):
            pipeline.incr("t")
        assert pipeline.execute() == list(range(1, 3001))
        pipeline.set("t", "text").incr("t").get("t")
        replies = pipeline.execute(raise_on_error=False)
        assert replies[0] and isinstance(replies[1], redis.ResponseError) and replies[2] == text("text")

        # Reads that may be stale, and the list of connections.
        assert client.client_setname("tester") and client.client_list()[0]["name"] in ("", "tester")
        single = client.client()
        assert single.execute_command("READONLY") and single.get("t") in (None, text("text"), text("3000"), text("1"))
        assert single.execute_command("VSR.READ")[0] == text("stale") and single.execute_command("READWRITE")
        assert single.get("t") == text("text")
        single.close()

# Loops of WATCH, at all doors at once: no addition is lost, and none is made twice.
def add_many(port):
    def add(pipeline):
        number = int(pipeline.get("sum") or 0)
        pipeline.multi()
        pipeline.set("sum", number + 1)
    client = redis.Redis(port=port)
    for _ in range(100):
        client.transaction(add, "sum")

ports = list(map(int, sys.argv[1:]))
redis.Redis(port=ports[0]).delete("sum")
with concurrent.futures.ThreadPoolExecutor() as workers:
    list(workers.map(add_many, ports * 2))
assert redis.Redis(port=ports[0]).get("sum") == b"600"
print("redis-py %s: ok" % redis.__version__)
PYTHON
else
    skip redis-py
fi

stop() {
    kill -INT "$server"
    wait "$server" || fail "the server did not end well: exit code $?"
    server=
}
stop

# A door with a password, of a replica that keeps its data in a directory: its second life knows what the first was told.
guarded=$((port + 3))
serve() {
    # Here, and not where the program starts: what the first life said must not pass for the second's.
    : >"$log"
    "$program" serve --id 0 --peer "0=127.0.0.1:$((port + 4))" --redis "127.0.0.1:$guarded" \
        --admin "127.0.0.1:$((port + 5))" --data "$data" --requirepass secret >"$log" 2>&1 &
    server=$!
    until grep -q 'listens' "$log"; do
        kill -0 "$server" 2>/dev/null || { cat "$log"; server=; fail "the replica does not start"; }
        sleep 0.1
    done
}

if have redis-cli; then
    serve
    expect "NOAUTH Authentication required." redis-cli -p "$guarded" GET k
    for flags in "" "-3"; do
        # shellcheck disable=SC2086
        cli="redis-cli $flags -p $guarded -a secret --no-auth-warning"
        expect OK $cli SET k v EX 1000
        expect v $cli GET k
    done
    stop
    serve
    expect v $cli GET k
    [ "$($cli TTL k | tr -dc 0-9)" -gt 900 ] || fail "the key does not end any more"
    if have python3 && python3 -c 'import redis' 2>/dev/null; then
        python3 - "$guarded" <<'PYTHON'
import sys
import redis

port = int(sys.argv[1])
assert redis.Redis(port=port, password="secret").get("k") == b"v"
for wrong in ({}, {"password": "wrong"}):
    try:
        redis.Redis(port=port, **wrong).get("k")
    except (redis.AuthenticationError, redis.exceptions.AuthenticationWrongNumberOfArgsError):
        continue
    raise AssertionError("served without a password")
PYTHON
    fi
    echo "a door with a password: ok"
    stop
fi
echo "all ok"
