#!/usr/bin/env bash
# RabbitMQ and Apache Cassandra (in ScyllaDB's place) on this machine, for tests, for the demo and for people: on loopback, on
# ports of their own, with everything they write in one folder, as any user, without root or systemd.
set -euo pipefail

usage() {
  cat <<'TEXT'
scripts/engines.sh COMMAND [ENGINE..] [OPTION..]

ENGINE is rabbitmq or cassandra; without one a command means both.

  up [ENGINE..]         starts what does not run, waits until it answers, says where it is
  down                  stops everything that was started here; what is stored stays
  status                which engine answers
  env [test|serve]      settings to `eval`: for the tests, for foryou itself; without a word both
  run COMMAND..         up; runs COMMAND with the settings for tests; stops what it started

  start|stop ENGINE..   as up and down, for one engine
  kill ENGINE..         kill -9
  freeze|thaw ENGINE..  halts it, and lets it go on
  alarm on|off          RabbitMQ's memory alarm: publishers are blocked

Options:
  --dir DIR             where everything lies (.engines in the repository); each folder has its own engines
  --port-base N|free    the first of five ports (15700); free: five that nobody listens on, around 20000
  --auth                Cassandra asks for user and password (cassandra, cassandra)
  --synced              Cassandra has on disk what it acknowledges: kill -9 loses none of it. Its default, and that of ScyllaDB, is to
                        have it there some seconds later, and on other nodes
  --tls FILE            both speak nothing but TLS, with the key and the certificate in this PEM file
  --owner PID           stops the engines when that process has ended
What `up` was told holds for the folder until the next `up` of stopped engines.
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=$root/.engines
base='' auth='' synced='' tls='' owner=''
say() { printf '%s\n' "$*" >&2; }
die() { say "engines.sh: $*"; exit 1; }
misused() { usage >&2; exit 2; }

[ $# -gt 0 ] || misused
command=$1
shift
words=()
while [ $# -gt 0 ]; do
  case $1 in
    --dir) [ $# -gt 1 ] || misused; dir=$2; shift 2 ;;
    --port-base) [ $# -gt 1 ] || misused; base=$2; shift 2 ;;
    --owner) [ $# -gt 1 ] || misused; owner=$2; shift 2 ;;
    --auth) auth=yes; shift ;;
    --synced) synced=yes; shift ;;
    --tls) [ $# -gt 1 ] || misused; tls=$2; shift 2 ;;
    --*) [ "$command" = run ] || misused; words+=("$@"); break ;;
    # What follows belongs to the command that is run.
    *) if [ "$command" = run ]; then words+=("$@"); break; fi; words+=("$1"); shift ;;
  esac
done

# --- Processes: known by id and start time, so that an id that was used again is never taken for ours.

started_at() { # PID -> its start time, in ticks since boot; nothing when it is gone or a zombie
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # The name stands in parentheses and may hold anything.
  read -ra stat <<<"${stat##*) }"
  [ "${stat[0]}" != Z ] && printf '%s\n' "${stat[19]}"
}
record() { printf '%s %s\n' "$2" "$(started_at "$2" || echo gone)" >"$dir/$1.pid"; }
pid_of() { # NAME -> the id of its running process
  local pid since
  read -r pid since 2>/dev/null <"$dir/$1.pid" && [ "$(started_at "$pid")" = "$since" ] && printf '%s\n' "$pid"
}
signal() { # SIGNAL NAME
  local pid
  pid=$(pid_of "$2") || die "$2 does not run (in $dir)"
  kill "-$1" "$pid"
  # On a busy machine a thread may go on for a while.
  [ "$1" != STOP ] || while grep -qs '^State:[[:space:]]*[DIRS]' "/proc/$pid"/task/*/status; do sleep 0.01; done
}
await_end() { # NAME SECONDS
  local pid until=$((SECONDS + $2))
  while pid_of "$1" >/dev/null; do
    [ "$SECONDS" -lt "$until" ] || return 1
    sleep 0.05
  done
}
halt() { # NAME
  local pid
  pid=$(pid_of "$1") || return 0
  kill -TERM "$pid" 2>/dev/null || true
  kill -CONT "$pid" 2>/dev/null || true
  if ! await_end "$1" 20; then
    say "$1 does not stop: killed"
    kill -KILL "$pid" 2>/dev/null || true
    await_end "$1" 5 || die "$1 (process $pid) cannot be stopped"
  fi
}

# --- Settings of a folder

settings() { # reads what `up` was told for this folder, and whether other options were given now
  local known_base known_auth known_synced known_tls
  read -r known_base known_auth known_synced known_tls 2>/dev/null <"$dir/settings" || return 1
  known_tls=${known_tls:-no} changed=
  case $base in '' | "$known_base" | free) base=$known_base ;; *) changed=yes ;; esac
  case $auth in '' | "$known_auth") auth=$known_auth ;; *) changed=yes ;; esac
  case $synced in '' | "$known_synced") synced=$known_synced ;; *) changed=yes ;; esac
  case $tls in '' | "$known_tls") tls=$known_tls ;; *) changed=yes ;; esac
}
free_base() {
  local try port
  for try in {1..100}; do
    try=$((20000 + (RANDOM * 32768 + RANDOM) % 1200 * 8))
    for port in $((try)) $((try + 1)) $((try + 2)) $((try + 3)) $((try + 4)); do
      if listens "$port"; then continue 2; fi
    done
    printf '%s\n' "$try"
    return
  done
  die "found no five free ports above 20000"
}
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
await_free() { # a process that was just killed may hold its port for a moment
  local until=$((SECONDS + 3))
  while listens "$1"; do
    [ "$SECONDS" -lt "$until" ] || return 1
    sleep 0.05
  done
}
ports() {
  amqp=$base dist=$((base + 1)) epmd=$((base + 2)) cql=$((base + 3)) storage=$((base + 4))
  scheme=amqps
  [ "$tls" != no ] || scheme=amqp
}
known() { settings || die "nothing was started in $dir"; ports; }

# --- RabbitMQ

rabbit_programs() {
  # The scripts on the path may change user; those beside the server do not.
  local place
  for place in "${RABBITMQ_HOME:-/none}/sbin" /usr/lib/rabbitmq/bin /usr/lib/rabbitmq/sbin /opt/rabbitmq/sbin; do
    [ -x "$place/rabbitmq-server" ] && rabbit_bin=$place && break
  done
  [ -n "${rabbit_bin:-}" ] || die "RabbitMQ is missing. Debian, Ubuntu: apt-get install --no-install-recommends rabbitmq-server
(it need not run: systemctl disable --now rabbitmq-server). Elsewhere: unpack a release (3.10 or newer) and set RABBITMQ_HOME."
  epmd_bin=$(command -v epmd || ls /usr/lib/erlang/erts-*/bin/epmd 2>/dev/null | tail -1) ||
    die "epmd, a part of Erlang, is not on the path"
}
rabbit_settings() { # puts what a program of RabbitMQ is run with for this folder into `in_rabbit`
  local r=$dir/rabbitmq
  # `detached`: the server's script becomes the server, so that its process id is the server's.
  in_rabbit=(env HOME="$r/home" LANG=C.UTF-8 ERL_EPMD_PORT="$epmd" ERL_EPMD_ADDRESS=127.0.0.1 detached=yes \
    RABBITMQ_CONF_ENV_FILE="$r/rabbitmq-env.conf" RABBITMQ_ENABLED_PLUGINS_FILE="$r/enabled_plugins" \
    RABBITMQ_NODENAME=foryou@localhost RABBITMQ_CONFIG_FILE="$r/rabbitmq.conf" RABBITMQ_ADVANCED_CONFIG_FILE="$r/advanced.config" \
    RABBITMQ_MNESIA_BASE="$r/data" RABBITMQ_LOG_BASE="$r/log" RABBITMQ_DIST_PORT="$dist" \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none")
}
start_rabbitmq() {
  rabbit_programs
  rabbit_settings
  local r=$dir/rabbitmq
  mkdir -p "$r/home" "$r/data" "$r/log"
  : >"$r/rabbitmq-env.conf"
  printf '[].\n' >"$r/enabled_plugins"
  local listener="listeners.tcp.1 = 127.0.0.1:$amqp"
  [ "$tls" = no ] || listener="listeners.tcp = none
listeners.ssl.1 = 127.0.0.1:$amqp
ssl_options.certfile = $tls
ssl_options.keyfile = $tls"
  cat >"$r/rabbitmq.conf" <<CONF
$listener
default_user = foryou
default_pass = foryou
loopback_users = none
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 50MB
log.console = true
log.console.use_colors = off
log.file = false
cluster_formation.target_cluster_size_hint = 1
CONF
  if ! pid_of epmd >/dev/null; then
    setsid "$epmd_bin" -port "$epmd" -address 127.0.0.1 </dev/null >>"$r/log/epmd.log" 2>&1 9>&- &
    record epmd $!
  fi
  setsid "${in_rabbit[@]}" "$rabbit_bin/rabbitmq-server" </dev/null >>"$r/log/rabbitmq.log" 2>&1 9>&- &
  record rabbitmq $!
}
answers_rabbitmq() { # the protocol header is answered with Connection.Start; its ports are the last that it opens
  [ "$tls" = no ] || { listens "$amqp"; return; }
  timeout 2 bash -c 'exec 3<>/dev/tcp/127.0.0.1/$0; printf "AMQP\0\0\x09\x01" >&3; head -c 1 <&3 | grep -q $(printf "\x01")' "$amqp" 2>/dev/null
}

# --- Cassandra

cassandra_jars() { # fetches them once, for all folders
  jars=$root/.engines/jars
  local sum
  sum=$(cksum <"$root/engines/pom.xml")
  jars=$jars/${sum// /-}
  [ -d "$jars" ] && return
  command -v mvn >/dev/null || die "Maven is missing, which fetches Cassandra's jars. Debian, Ubuntu: apt-get install maven"
  mkdir -p "$root/.engines/jars"
  local staging
  staging=$(mktemp -d "$root/.engines/jars/fetch.XXXXXX")
  say "fetching Apache Cassandra"
  mvn -B -q -f "$root/engines/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$staging" >&2 || {
    rm -rf "$staging"
    die "Cassandra's jars could not be fetched with Maven"
  }
  # Whoever was first wins; a folder under this name is always a whole one.
  mv -T "$staging" "$jars" 2>/dev/null || rm -rf "$staging"
}
find_java() {
  local try
  for try in "${JAVA_HOME:-/none}/bin/java" "$(command -v java || true)" /usr/lib/jvm/*17*/bin/java; do
    if [ -x "$try" ] && [[ $("$try" -version 2>&1) =~ version\ \"17\. ]]; then
      java=$try
      return
    fi
  done
  die "Java 17 is missing, which Cassandra 5 needs. Debian, Ubuntu: apt-get install openjdk-17-jre-headless. Elsewhere: set JAVA_HOME."
}
start_cassandra() {
  local c=$dir/cassandra jars java
  find_java
  cassandra_jars
  mkdir -p "$c/conf" "$c/data" "$c/log"
  cp "$root/engines/logback.xml" "$c/conf/logback.xml"
  local commitlog="commitlog_sync: periodic
commitlog_sync_period: 10000ms"
  [ "$synced" = no ] || commitlog="commitlog_sync: batch"
  # One compaction at a time, and slowly: the cores are shared with everything else.
  cat >"$c/conf/cassandra.yaml" <<CONF
cluster_name: foryou
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
num_tokens: 1
seed_provider: [{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{seeds: "127.0.0.1:$storage"}]}]
listen_address: 127.0.0.1
storage_port: $storage
rpc_address: 127.0.0.1
native_transport_port: $cql
endpoint_snitch: SimpleSnitch
$commitlog
concurrent_compactors: 1
compaction_throughput: 4MiB/s
auto_snapshot: false
CONF
  [ "$auth" = no ] || cat >>"$c/conf/cassandra.yaml" <<CONF
authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
CONF
  [ "$tls" = no ] || cat >>"$c/conf/cassandra.yaml" <<CONF
client_encryption_options:
  enabled: true
  optional: false
  ssl_context_factory: {class_name: org.apache.cassandra.security.PEMBasedSslContextFactory}
  keystore: $tls
CONF
  (
    # Cassandra's idle threads wake up every 50 µs to look for work, which on two cores costs two thirds of what the work does. They may be late.
    echo 2000000 2>/dev/null >/proc/self/timerslack_ns || true
    # In a heap of 384 MB it stops everything for .3 to .4 s now and then to collect all of it, and is stopped four times as often.
    exec setsid "$java" --add-opens java.base/sun.nio.ch=ALL-UNNAMED --add-opens java.base/jdk.internal.ref=ALL-UNNAMED \
      --add-opens java.base/java.io=ALL-UNNAMED -XX:+UseSerialGC -Xms1g -Xmx1g -Xmn512m -XX:MaxDirectMemorySize=256m \
      -XX:+ExitOnOutOfMemoryError -cp "$c/conf:$jars/*" -Dcassandra.config="file://$c/conf/cassandra.yaml" \
      -Dcassandra.storagedir="$c/data" -Dcassandra.logdir="$c/log" -Dcassandra.skip_wait_for_gossip_to_settle=0 \
      -Dcassandra.ring_delay_ms=0 -Dcassandra.superuser_setup_delay_ms=0 -Dcassandra.shutdown_announce_in_ms=0 \
      org.apache.cassandra.service.CassandraDaemon
  ) </dev/null >>"$c/log/cassandra.log" 2>&1 9>&- &
  record cassandra $!
}
answers_cassandra() { # STARTUP, and with authentication a login: the default user is made after the port was opened
  [ "$tls" = no ] || { listens "$cql"; return; }
  timeout 2 bash -c '
    exec 3<>/dev/tcp/127.0.0.1/$0
    printf "\x04\0\0\x01\x01\0\0\0\x16\0\x01\0\x0bCQL_VERSION\0\x053.0.0" >&3
    opcode() { head -c 9 <&3 | od -An -tx1 | tr -d " \n"; }
    answer=$(opcode)
    case ${answer:8:2} in
      02) exit 0 ;;
      03) head -c $((16#${answer:10:8})) <&3 >/dev/null
          printf "\x04\0\0\x02\x0f\0\0\0\x18\0\0\0\x14\0cassandra\0cassandra" >&3
          answer=$(opcode)
          [ "${answer:8:2}" = 10 ] ;;
      *) exit 1 ;;
    esac' "$cql" 2>/dev/null
}

# --- Commands

engines=() others=()
for word in ${words[@]+"${words[@]}"}; do
  case $word in rabbitmq | cassandra) engines+=("$word") ;; *) others+=("$word") ;; esac
done
one_or_more() { [ ${#engines[@]} -gt 0 ] && [ ${#others[@]} -eq 0 ] || misused; }
both_or_some() {
  [ ${#others[@]} -eq 0 ] || misused
  [ ${#engines[@]} -gt 0 ] || engines=(rabbitmq cassandra)
}
where() {
  case $1 in
    rabbitmq) printf 'RabbitMQ   %s://foryou:foryou@127.0.0.1:%s' "$scheme" "$amqp" ;;
    cassandra) printf 'Cassandra  127.0.0.1:%s%s' "$cql" "$([ "$auth" = no ] || echo ' (user and password cassandra)')" ;;
  esac
}
log_of() { printf '%s/%s/log/%s.log' "$dir" "$1" "$1"; }

up() { # starts and awaits `engines`; puts those that it started into `started`
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  exec 9>"$dir/lock"
  flock 9
  started=()
  # What runs is joined only with the options that it runs with.
  if { pid_of rabbitmq || pid_of cassandra; } >/dev/null; then
    settings || die "$dir/settings is gone: scripts/engines.sh down first"
    [ -z "$changed" ] || die "the engines in $dir run with other options: scripts/engines.sh down first"
  elif [ "$command" = start ]; then
    settings || true
  fi
  [ "$base" != free ] || base=$(free_base)
  base=${base:-15700} auth=${auth:-no} synced=${synced:-no} tls=${tls:-no}
  [[ $base =~ ^[0-9]+$ ]] || misused
  [ "$tls" = no ] || [ -r "$tls" ] || die "--tls: $tls cannot be read"
  ports
  printf '%s %s %s %s\n' "$base" "$auth" "$synced" "$tls" >"$dir/settings"
  local engine port
  for engine in "${engines[@]}"; do
    if pid_of "$engine" >/dev/null; then continue; fi
    case $engine in rabbitmq) port=$amqp ;; cassandra) port=$cql ;; esac
    await_free "$port" || die "port $port is taken by something else: --port-base names other ports"
    "start_$engine"
    started+=("$engine")
  done
  for engine in "${engines[@]}"; do await_answer "$engine"; done
  [ -z "$owner" ] || watch_owner
  flock -u 9
}
await_answer() { # ENGINE
  local until=$((SECONDS + 90))
  until "answers_$1"; do
    pid_of "$1" >/dev/null || { tail -n 20 "$(log_of "$1")" >&2; die "$1 did not start; all of it: $(log_of "$1")"; }
    [ "$SECONDS" -lt "$until" ] || die "$1 does not answer; its log: $(log_of "$1")"
    sleep 0.1
  done
}
watch_owner() { # a process that was killed could not stop its engines
  local since
  since=$(started_at "$owner") || return 0
  setsid bash -c '
    while [ "$(sed "s/.*) //" "/proc/$1/stat" 2>/dev/null | cut -d" " -f20)" = "$2" ]; do sleep 1; done
    exec "$0" down --dir "$3"' "$root/scripts/engines.sh" "$owner" "$since" "$dir" </dev/null >/dev/null 2>&1 9>&- &
  record watcher $!
}
stop() { # ENGINE..
  local engine halts=()
  for engine in "$@"; do
    halt "$engine" &
    halts+=($!)
  done
  [ ${#halts[@]} -eq 0 ] || wait "${halts[@]}"
  if ! pid_of rabbitmq >/dev/null; then halt epmd; fi
}
exports() {
  if [ "$1" != serve ]; then
    echo "export FORYOU_TEST_RABBITMQ=$scheme://foryou:foryou@127.0.0.1:$amqp FORYOU_TEST_CASSANDRA=127.0.0.1:$cql"
  fi
  if [ "$1" != test ]; then
    echo "export FORYOU__BUS__KIND=rabbitmq FORYOU__BUS__RABBITMQ__URL=$scheme://127.0.0.1:$amqp"
    echo "export FORYOU__BUS__RABBITMQ__USER=foryou FORYOU__BUS__RABBITMQ__PASSWORD=foryou"
    echo "export FORYOU__STORE__KIND=scylla FORYOU__STORE__SCYLLA__NODES=127.0.0.1:$cql"
    [ "$tls" = no ] || echo "export FORYOU__STORE__SCYLLA__TLS=true"
    [ "$auth" = no ] || echo "export FORYOU__STORE__SCYLLA__USER=cassandra FORYOU__STORE__SCYLLA__PASSWORD=cassandra"
  fi
}

case $command in
  up | start)
    if [ "$command" = up ]; then both_or_some; else one_or_more; fi
    up
    for engine in "${engines[@]}"; do where "$engine"; echo; done
    ;;
  down)
    [ ${#words[@]} -eq 0 ] || misused
    # The watcher may be the one who asks.
    watcher=$(pid_of watcher) && [ "$watcher" != $$ ] && kill "$watcher"
    stop rabbitmq cassandra
    ;;
  stop) one_or_more; stop "${engines[@]}" ;;
  kill) one_or_more; for engine in "${engines[@]}"; do signal KILL "$engine"; await_end "$engine" 5; done ;;
  freeze) one_or_more; for engine in "${engines[@]}"; do signal STOP "$engine"; done ;;
  thaw) one_or_more; for engine in "${engines[@]}"; do signal CONT "$engine"; done ;;
  alarm)
    known
    rabbit_programs
    rabbit_settings
    case ${words[*]} in
      on) "${in_rabbit[@]}" "$rabbit_bin/rabbitmqctl" -q set_vm_memory_high_watermark 0 ;;
      off) "${in_rabbit[@]}" "$rabbit_bin/rabbitmqctl" -q set_vm_memory_high_watermark absolute 1GB ;;
      *) misused ;;
    esac
    ;;
  status)
    known
    both_or_some
    failed=0
    for engine in "${engines[@]}"; do
      if ! pid_of "$engine" >/dev/null; then state='does not run'; failed=1
      elif "answers_$engine"; then state="answers, process $(pid_of "$engine")"
      else state="does not answer, process $(pid_of "$engine")"; failed=1; fi
      printf '%s: %s\n' "$(where "$engine")" "$state"
    done
    exit $failed
    ;;
  env)
    known
    case ${words[*]:-} in test | serve) exports "${words[0]}" ;; '') exports all ;; *) misused ;; esac
    ;;
  run)
    [ ${#words[@]} -gt 0 ] || misused
    # Engines that somebody else keeps, a real ScyllaDB for instance, are used as they are.
    if [ -z "${FORYOU_TEST_RABBITMQ:-}" ] || [ -z "${FORYOU_TEST_CASSANDRA:-}" ]; then
      engines=(rabbitmq cassandra)
      trap 'stop ${started[@]+"${started[@]}"}' EXIT
      trap 'exit 130' INT TERM
      up
      eval "$(exports test)"
    fi
    status=0
    "${words[@]}" 9>&- || status=$?
    exit $status
    ;;
  help | -h | --help) usage ;;
  *) misused ;;
esac
