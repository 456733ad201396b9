#!/bin/sh
# Collects volatile evidence of this machine and uploads each file as soon as it is there (docs/forensics.md).
#
# The SSM document sets, before this script: GDR_PLAN_URL (where the upload plan lies: a secret), GDR_TIMEOUT,
# GDR_CAPTURE_SECONDS, GDR_COMMANDS (commands in base64, separated by spaces), GDR_MEMORY_LOCATION, GDR_MEMORY_SHA256.
# Reads only; writes only into a private directory that is removed at the end. Nothing here comes from a finding.
# URLs are secrets: they reach programs by standard input, so that no process list shows them.
# Every section has a time limit of its own; a section that fails, hangs or lacks its tools does not stop the others.
# shellcheck disable=SC2329,SC2209 # functions are called by name; states are words

umask 077
PATH=${GDR_PATH:-/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin}
export PATH LC_ALL=C
unset LD_PRELOAD LD_LIBRARY_PATH BASH_ENV ENV CDPATH GREP_OPTIONS
started=$(date +%s)
deadline=60 # seconds after the start; the plan says it
grace=20    # further seconds for uploads
tab=$(printf '\t')
capture_bytes=${GDR_CAPTURE_BYTES:-20971520}

say() { printf '%s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }
number() { case $1 in '' | *[!0-9]*) return 1 ;; esac }
left() { # seconds until the deadline, and $1 more
  rest=$((started + deadline + ${1:-0} - $(date +%s)))
  [ "$rest" -gt 0 ] || rest=0
  echo "$rest"
}
pause() { sleep 0.2 2>/dev/null || sleep 1; }

dir=$(mktemp -d "${TMPDIR:-/var/tmp}/gdr.XXXXXX") || { say "no private directory: nothing collected" && exit 1; }
capture=
finish() {
  [ -z "$capture" ] || kill "$capture" 2>/dev/null
  rm -rf -- "$dir"
}
trap finish EXIT
trap 'exit 143' TERM INT HUP
cd / || exit 1

# -- moving files ------------------------------------------------------------------------------------------------------

if have curl; then
  web=curl
elif have python3; then
  web=python3
elif have wget && wget --help 2>&1 | grep -q -e '--body-file'; then
  web=wget
else
  say "no curl, python3 or wget on this machine: nothing can be uploaded, nothing collected"
  exit 1
fi

safe_url() {
  case $1 in '' | *[!A-Za-z0-9%\&=._~+/:?@,-]*) return 1 ;; esac
  case $1 in https://?*/?* | http://127.0.0.1:[0-9]*/?*) return 0 ;; esac
  return 1
}

fetch() { # URL FILE SECONDS
  safe_url "$1" || return 1
  case $web in
    curl) printf 'url = "%s"\n' "$1" | curl -q --config - --silent --fail --location --proto-redir =https \
      --connect-timeout 5 --max-time "$3" --output "$2" ;;
    python3) printf '%s' "$1" | python3 -I -c 'import shutil, sys, urllib.request as u
shutil.copyfileobj(u.urlopen(sys.stdin.read(), timeout=float(sys.argv[2])), open(sys.argv[1], "wb"))' "$2" "$3" ;;
    wget) printf '%s\n' "$1" | wget -q -T "$3" -t 1 -i - -O "$2" ;;
  esac 2>/dev/null
}

base64_of() { if have base64; then base64; else openssl base64; fi | tr -d '\n'; }

md5_of() { # base64, as Content-MD5 has it; buckets with Object Lock insist on one
  hex=$(md5sum <"$1" 2>/dev/null | cut -c1-32)
  if [ "${#hex}" -eq 32 ]; then
    octal=
    for pair in $(say "$hex" | sed 's/../& /g'); do octal="$octal\\$(printf '%03o' "0x$pair")"; done
    # shellcheck disable=SC2059 # the format is the sixteen bytes
    printf "$octal" | base64_of
  else
    openssl dgst -md5 -binary <"$1" 2>/dev/null | base64_of
  fi
}

sha256_of() {
  if have sha256sum; then sha256sum <"$1" | cut -c1-64; else openssl dgst -sha256 -r <"$1" | cut -c1-64; fi 2>/dev/null
}

size_of() { wc -c <"$1" | tr -d ' '; }

send_once() { # URL FILE SECONDS [header]: prints the HTTP status
  md5=$(md5_of "$2")
  case $web in
    curl) printf 'url = "%s"\n' "$1" |
      curl -q --config - --silent --connect-timeout 5 --max-time "$3" --upload-file "$2" --output /dev/null \
        --write-out '%{http_code}' --header 'Expect:' ${md5:+--header "Content-MD5: $md5"} ${4:+--header "$4"} ;;
    python3) printf '%s' "$1" | python3 -I -c 'import os, sys, urllib.request as u, urllib.error as e
path, seconds, md5, once = sys.argv[1:]
headers = {"Content-Length": str(os.path.getsize(path)), "Content-Type": ""}
headers |= {"Content-MD5": md5} if md5 else {}
headers |= {"If-None-Match": "*"} if once else {}
try: print(u.urlopen(u.Request(sys.stdin.read(), open(path, "rb"), headers, method="PUT"), timeout=float(seconds)).status)
except e.HTTPError as error: print(error.code)' "$2" "$3" "$md5" "$4" ;;
    wget) printf '%s\n' "$1" |
      wget -q -T "$3" -t 1 -i - -O /dev/null --method=PUT --body-file="$2" ${md5:+--header="Content-MD5: $md5"} \
        ${4:+--header="$4"} && echo 200 ;;
  esac 2>/dev/null
}

put() { # URL FILE [header]: twice at most, as long as there is time
  safe_url "$1" || return 1
  for _ in 1 2; do
    room=$(left $grace)
    [ "$room" -ge 2 ] || return 1
    # 412: it is there; the answer to the first try was lost, or somebody came first (the hash tells)
    case $(send_once "$1" "$2" "$room" "$3") in 2?? | 412) return 0 ;; 403 | 404) return 1 ;; esac
    pause
  done
  return 1
}

plan_url() { # NAME PART: prints the URL, or fails
  while IFS=$tab read -r name_ part_ url_; do
    if [ "$name_" = "$1" ] && [ "$part_" = "$2" ]; then say "$url_" && return 0; fi
  done <"$dir/plan"
  return 1
}

entry() { # NAME BYTES SHA256 PARTS STATE: a line of the index, and of the command's output
  printf '%s\t%s\t%s\t%s\t%s\n' "$@" >>"$dir/index.tsv"
  say "$1: $5, $2 bytes"
}

deliver() { # NAME STATE: uploads the section's file
  file=$dir/$1
  [ -s "$file" ] || { entry "$1" 0 - 0 "$2" && return; }
  bytes=$(size_of "$file")
  sum=$(sha256_of "$file")
  url=$(plan_url "$1" 0)
  if put "$url" "$file" 'If-None-Match: *'; then sent="1 $2"; else sent="0 lost"; fi
  entry "$1" "$bytes" "${sum:--}" "${sent%% *}" "${sent#* }"
  rm -f "$file"
}

deliver_parts() { # NAME STATE: needs the space of one part besides the file
  file=$dir/$1
  state=$2
  bytes=$(size_of "$file")
  part_bytes=$(plan_url @part_bytes 0)
  number "$part_bytes" || part_bytes=67108864
  mega=$((part_bytes / 1048576))
  sha256_of "$file" >"$dir/sum" &
  summing=$!
  part=1
  while [ $(((part - 1) * part_bytes)) -lt "$bytes" ]; do
    dd if="$file" of="$dir/part" bs=1048576 skip=$(((part - 1) * mega)) count=$mega 2>/dev/null
    if ! url=$(plan_url "$1" $part) || ! put "$url" "$dir/part"; then state=lost && break; fi
    part=$((part + 1))
  done
  rm -f "$dir/part"
  wait $summing
  sum=$(cat "$dir/sum")
  entry "$1" "$bytes" "${sum:--}" $((part - 1)) "$state"
  rm -f "$file"
}

# -- running things ----------------------------------------------------------------------------------------------------

if timeout -k 1 5 true 2>/dev/null; then
  bounded() { limit_=$1 && shift && timeout -k 2 "$limit_" "$@"; }
elif timeout 5 true 2>/dev/null; then
  bounded() { limit_=$1 && shift && timeout "$limit_" "$@"; }
else
  bounded() { # no timeout on this machine: the command alone is ended, not what it started
    limit_=$1 && shift
    "$@" &
    child=$!
    (sleep "$limit_" && kill -9 $child) >/dev/null 2>&1 &
    killer=$!
    wait $child
    code_=$?
    kill $killer 2>/dev/null
    return $code_
  }
fi

run() { # SECONDS COMMAND…: its output under a heading; what is absent, fails or takes too long is said
  most=$1
  shift
  printf '\n### %s\n' "$*"
  have "$1" || { say "# not on this machine: $1" && return 0; }
  room=$((ends - $(date +%s)))
  [ "$room" -ge 1 ] || { say "# no time left" && return 0; }
  [ "$most" -le "$room" ] || most=$room
  bounded "$most" "$@" </dev/null 2>&1
  code=$?
  case $code in
    0) ;;
    124 | 137 | 143) say "# ended after $most s" ;;
    *) say "# exit status $code" ;;
  esac
}

show() { # FILE…: regular files, 64 KiB of each, with control characters made visible
  for path in "$@"; do
    [ -f "$path" ] || continue
    printf '\n### %s\n' "$(printf '%s' "$path" | tr '\000-\037\177' '?')"
    head -c 65536 "$path" 2>&1 | cat -v
    [ "$(size_of "$path")" -le 65536 ] || printf '\n# cut at 64 KiB\n'
  done
}

# section NAME SECONDS FUNCTION: exit status 3 says that a tool is missing
section() {
  name=$1
  limit=$2
  shift 2
  room=$(left)
  [ "$room" -ge 2 ] || { entry "$name" 0 - 0 skipped && return; }
  # never more than half of what is left: a machine where everything hangs still gives a little of everything
  [ "$limit" -le $((room / 2)) ] || limit=$((room / 2))
  ends=$(($(date +%s) + limit))
  (
    trap 'echo $? >"$dir/$name.end"' EXIT
    "$@"
  ) >"$dir/$name" 2>&1 </dev/null &
  running=$!
  # A process that the kernel does not let go must not hold up the rest: it is left behind, not waited for.
  while ! [ -s "$dir/$name.end" ] && [ "$(date +%s)" -lt $((ends + 1)) ]; do pause; done
  state=cut
  case $(cat "$dir/$name.end" 2>/dev/null) in
    '')
      kill "$running" 2>/dev/null
      printf '\n# section ended after %s s\n' "$limit" >>"$dir/$name"
      ;;
    0) state=ok ;;
    3) state=absent ;;
    *) state=failed ;;
  esac
  deliver "$name" $state
}

# -- what is collected -------------------------------------------------------------------------------------------------

processes() {
  run 5 date -u
  run 5 uname -a
  run 5 uptime
  columns=pid,ppid,user,lstart,stat,time,args
  if bounded 3 ps -eww -o pid= >/dev/null 2>&1; then run 15 ps -eww -o "$columns"; else run 5 ps; fi
  # ls -b shows quotes, newlines and the like as escapes: a file's name cannot forge a line
  run 15 sh -c 'ls -lb /proc/[0-9]*/exe 2>/dev/null | grep -F "(deleted)"; true'
  run 15 sh -c 'ls -lb /proc/[0-9]*/exe /proc/[0-9]*/cwd /proc/[0-9]*/root 2>/dev/null; true'
  # -K i (lsof 4.91): else each thread's files are listed, which are its process's, a million lines and no end
  if have lsof; then
    case $(bounded 5 lsof -h 2>&1) in
      *'(i)gn'*) run 30 lsof -nPbw -K i +c0 ;;
      *) run 30 lsof -nPbw +c0 ;;
    esac
  else
    run 30 sh -c 'ls -lb /proc/[0-9]*/fd 2>/dev/null; true'
  fi
  return 0
}

network() {
  if have ss; then run 10 ss -tupanOe; else run 10 netstat -tupan; fi
  show /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6 /proc/net/raw /proc/net/packet
  run 5 ip -s address
  run 5 ip route show table all
  run 5 ip -6 route show table all
  run 5 ip neighbour
  show /proc/net/route /proc/net/arp
  run 5 iptables-save
  run 5 ip6tables-save
  run 5 nft list ruleset
  show /etc/resolv.conf /etc/hosts /etc/nsswitch.conf
  run 5 resolvectl status
  return 0
}

modules() {
  if have lsmod; then run 5 lsmod; fi
  show /proc/modules /proc/sys/kernel/tainted /proc/cmdline /etc/ld.so.preload
  run 5 bpftool prog show
  run 5 sh -c 'dmesg | tail -n 500'
  return 0
}

users() {
  show /etc/passwd /etc/group /etc/sudoers /etc/sudoers.d/*
  run 5 passwd -S -a
  run 5 w
  run 5 who -a
  run 5 last -n 100 -F
  run 5 lastb -n 100 -F
  while IFS=: read -r _ _ _ _ _ home _; do
    case $home in /?*) show "$home"/.ssh/authorized_keys "$home"/.ssh/authorized_keys2 ;; esac
  done </etc/passwd
  show /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*
  return 0
}

scheduled() {
  show /etc/crontab /etc/anacrontab /etc/cron.d/* /etc/cron.hourly/* /etc/cron.daily/* /etc/cron.weekly/* /etc/cron.monthly/*
  show /var/spool/cron/* /var/spool/cron/crontabs/* /var/spool/cron/tabs/*
  run 5 atq
  show /var/spool/at/* /var/spool/cron/atjobs/*
  run 10 systemctl --no-pager --full list-timers --all
  run 10 systemctl --no-pager --full list-units --type=service --all
  run 10 systemctl --no-pager --full list-unit-files
  run 5 ls -labR /etc/systemd/system /etc/init.d
  show /etc/systemd/system/*.service /etc/systemd/system/*.timer /etc/rc.local /etc/rc.d/rc.local /etc/profile.d/*
  return 0
}

commands() {
  count=0
  for encoded in $GDR_COMMANDS; do
    count=$((count + 1))
    printf '%s' "$encoded" | { base64 -d 2>/dev/null || openssl base64 -d -A; } >"$dir/command"
    printf '\n## command %s\n' "$count"
    cat "$dir/command"
    if have bash; then shell=bash; else shell=sh; fi
    run "${GDR_COMMAND_SECONDS:-60}" "$shell" "$dir/command"
  done
  return 0
}

start_capture() {
  number "$GDR_CAPTURE_SECONDS" && [ "$GDR_CAPTURE_SECONDS" -gt 0 ] || return
  captured=absent
  have tcpdump && have timeout || return
  seconds=$GDR_CAPTURE_SECONDS
  [ "$seconds" -lt "$(left)" ] || seconds=$(($(left) - 3))
  [ "$seconds" -ge 1 ] || return
  captured=failed
  # head bounds the file; tcpdump ends with the pipe
  (
    timeout -s INT "$seconds" tcpdump -i any -n -U -w - 2>/dev/null </dev/null | head -c "$capture_bytes" >"$dir/capture.pcap"
    : >"$dir/capture.end"
  ) &
  capture=$!
}

end_capture() {
  [ -n "$captured" ] || return
  if [ -n "$capture" ]; then
    while ! [ -e "$dir/capture.end" ] && [ "$(left)" -gt 0 ]; do pause; done
    [ -e "$dir/capture.end" ] || captured=cut
    [ -s "$dir/capture.pcap" ] && [ $captured = failed ] && captured=ok
    kill "$capture" 2>/dev/null
    capture=
  fi
  deliver capture.pcap $captured
}

acquire() { # writes memory.lime; the tool is checked before it runs and removed after
  [ -n "$GDR_MEMORY_LOCATION$(plan_url @tool 0)" ] || return 3
  needed=$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)
  free=$(df -Pk "$dir" | sed -n '2s/^[^ ]* *[0-9]* *[0-9]* *\([0-9]*\).*/\1/p')
  if [ "${free:-0}" -lt "${needed:-0}" ]; then
    say "memory: $needed KiB of memory, $free KiB free in $(dirname "$dir")"
    return 1
  fi
  url=$(plan_url @tool 0) || url=$GDR_MEMORY_LOCATION
  fetch "$url" "$dir/tool" "$(left)" || { say "memory: the tool could not be downloaded" && return 1; }
  if [ "$(sha256_of "$dir/tool")" != "$GDR_MEMORY_SHA256" ]; then
    rm -f "$dir/tool" && say "memory: the tool's SHA-256 is not the one configured; it was not run"
    return 1
  fi
  chmod 700 "$dir/tool"
  bounded "$(left)" "$dir/tool" --compress "$dir/memory.lime" >/dev/null 2>&1 </dev/null
  code=$?
  rm -f "$dir/tool"
  [ $code -eq 0 ] || say "memory: the tool ended with exit status $code"
  return $code
}

memory() {
  [ "$(left)" -ge 5 ] || { entry memory.lime 0 - 0 skipped && return; }
  acquire
  case $? in 0) state=ok ;; 3) state=absent ;; *) state=failed ;; esac
  [ -s "$dir/memory.lime" ] || [ $state = absent ] || state=failed
  if [ $state = ok ]; then deliver_parts memory.lime ok; else entry memory.lime 0 - 0 $state; fi
}

# -- in this order: what changes fastest first, what takes longest last ------------------------------------------------

fetch "$GDR_PLAN_URL" "$dir/plan" 20 || { say "the upload plan could not be read: nothing collected" && exit 1; }
seconds=$(plan_url @deadline 0)
if number "$seconds"; then deadline=$seconds; fi
if number "$GDR_TIMEOUT" && [ "$deadline" -gt "$GDR_TIMEOUT" ]; then deadline=$GDR_TIMEOUT; fi
captured=
start_capture
section processes.txt 40 processes
section network.txt 20 network
section users.txt 20 users
section modules.txt 15 modules
section jobs.txt 30 scheduled
end_capture
if [ -n "$GDR_COMMANDS" ]; then section commands.txt 300 commands; fi
if [ -n "$GDR_MEMORY_SHA256" ]; then memory; fi
put "$(plan_url index.tsv 0)" "$dir/index.tsv" 'If-None-Match: *' || { say "the index could not be uploaded" && exit 1; }
exit 0
