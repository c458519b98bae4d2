#!/usr/bin/env bash
# Imports the bundled data and trains where that was not done yet, serves on 127.0.0.1:8080, and says what to try. A crowd does the
# last logged day again in the background; CROWD=no leaves it out. With ENGINES=real on RabbitMQ and Cassandra, which it brings up and
# leaves running.
set -euo pipefail
cd "$(dirname "$0")/.."

ORT_DYLIB_PATH=$(scripts/onnxruntime.sh)
export ORT_DYLIB_PATH
foryou=${CARGO_TARGET_DIR:-target}/release/foryou
case ${ENGINES:-embedded} in
  embedded) ;;
  real)
    scripts/engines.sh up
    eval "$(scripts/engines.sh env serve)"
    # Beside the engines' own data, so that whoever removes .engines begins anew.
    export FORYOU__DATA__DIR=${FORYOU__DATA__DIR:-.engines/foryou}
    "$foryou" migrate
    ;;
  *) echo "ENGINES is embedded or real, not $ENGINES" >&2; exit 2 ;;
esac
export FORYOU__DATA__DIR=${FORYOU__DATA__DIR:-.foryou}
export FORYOU__SERVER__BIND=${FORYOU__SERVER__BIND:-127.0.0.1:8080}
# A person at the page waits for what they did, and for nobody else.
export FORYOU__SOCKETS__COALESCE_MS=${FORYOU__SOCKETS__COALESCE_MS:-5}
url=http://$FORYOU__SERVER__BIND
case ${CROWD:=yes} in yes | no) ;; *) echo "CROWD is yes or no, not $CROWD" >&2; exit 2 ;; esac

# A release is live only when both steps have ended; importing again changes nothing.
if [ ! -e "$FORYOU__DATA__DIR/releases/active" ]; then
  # The bundled log ends on 30 April 2022 at 16:00 UTC: moved by whole days, it ends where this server begins.
  "$foryou" import kuairand data/kuairand --shift "$((($(date +%s) - 1651334400) / 86400))d"
  "$foryou" train
fi

# Whether the server does its work, asked without a program that may not be there.
ready() (
  exec 3<>"/dev/tcp/${FORYOU__SERVER__BIND/://}"
  printf 'GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
  read -r _ status _ <&3
  [ "$status" = 200 ]
) 2>/dev/null

"$foryou" serve &
server=$!
trap 'kill -TERM "$server" 2>/dev/null || true' INT TERM
until ready; do
  kill -0 "$server" 2>/dev/null || { wait "$server"; exit 1; }
  sleep 0.05
done

crowd=
if [ "$CROWD" = yes ]; then
  # A day in twelve minutes, again and again. What it has to say lies beside the data.
  "$foryou" replay data/kuairand/val.parquet --live --speed 120 --last day --loop --url "$url" >"$FORYOU__DATA__DIR/crowd.log" 2>&1 &
  crowd=$!
fi

cat <<TEXT

foryou serves on $url (Ctrl-C stops it):

  $url/demo    a feed to swipe through, and why it is what it is
  $url/admin   the console, live
  $url/        what else there is

$([ -z "$crowd" ] || echo "A crowd does the last logged day again, 120 times as fast; CROWD=no leaves it out. ")Or in another terminal:

1. How often each category stands in the feed of somebody new:
   curl -s '$url/v1/users/you/feed?limit=60' | grep -o '"category":"[^"]*"' | sort | uniq -c | sort -rn

2. Ten likes in category 28, of videos that are liked there now (see GET /v1/trending?category=28):
   curl -s '$url/v1/events' -H 'content-type: application/json' -d "{\"events\":[\$(curl -s '$url/v1/trending?category=28&limit=10' | grep -o '"video":"[^"]*"' | sed 's/.*/{"user":"you","kind":"like",&}/' | paste -sd,)]}"

3. The first line again: category 28 has moved up, and nothing that was liked comes back.
   curl -s '$url/v1/users/you/feed?limit=60' | grep -o '"category":"[^"]*"' | sort | uniq -c | sort -rn

TEXT
# A signal ends the first wait; the second is for the server's orderly end.
wait "$server" || wait "$server" || status=$?
if [ -n "$crowd" ]; then
  kill -TERM "$crowd" 2>/dev/null || true
  wait "$crowd" 2>/dev/null || true
fi
[ "${ENGINES:-embedded}" = embedded ] || echo "RabbitMQ and Cassandra still run: make engines-down stops them, rm -rf .engines forgets all."
exit "${status:-0}"
