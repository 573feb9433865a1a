# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The servers of each backend: nginx on 8080 and a UDP echo on 5300, over IPv4 and IPv6. Sourced by
# scripts/lab and scripts/niclab.

start_servers() {
  local name
  truncate -s 100M "$run_dir/www/big"
  for name in "${backends[@]}"; do
    mkdir -p "$run_dir/hosts/$name"
    write_nginx_config "$name" >"$run_dir/hosts/$name/nginx.conf"
    launch "$name" "nginx@$name" "$run_dir/log/nginx-$name.log" \
      nginx -p "$run_dir/hosts/$name/" -c "$run_dir/hosts/$name/nginx.conf" -e stderr
    launch "$name" "udp_echo@$name" "$run_dir/log/udp_echo-$name.log" \
      /usr/bin/python3 "$repo/scripts/lab.d/udp_echo.py" "${name%[0-9]} $name" \
      "198.18.2.${backend_byte[$name]}" "fd18:2::${backend_byte[$name]}"
  done
}

servers_run() {
  local name
  for name in "${backends[@]}"; do
    if ! running "nginx@$name" || ! running "udp_echo@$name"; then return 1; fi
  done
}

# Connections live until the client closes them, so only Teal or the test can end one.
write_nginx_config() {
  cat <<END
daemon off;
user root;
worker_processes 1;
pid nginx.pid;
error_log stderr warn;
events { worker_connections 16384; }
http {
  access_log off;
  default_type text/plain;
  keepalive_timeout 30d;
  keepalive_time 30d;
  keepalive_requests 1000000000;
  client_header_timeout 30d;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen 8080 backlog=4096;
    listen [::]:8080 backlog=4096;
    location = /big { root $run_dir/www; }
    location / { return 200 "${1%[0-9]} $1\n"; }
  }
}
END
}

# wait_for_servers HOST: HOST asks the backends without Teal, all at a time. An error here is an error of the
# lab.
wait_for_servers() {
  local name pid pids=()
  for name in "${backends[@]}"; do
    wait_for_server "$1" "$name" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || exit 1; done
}

# wait_for_server HOST BACKEND
wait_for_server() {
  local body="${2%[0-9]} $2" v4="198.18.2.${backend_byte[$2]}" v6="fd18:2::${backend_byte[$2]}"
  wait_until 10 http_answers "$1" "$v4" 8080 "$body" || server_failed "$1" "$2" "HTTP over IPv4"
  wait_until 10 http_answers "$1" "[$v6]" 8080 "$body" || server_failed "$1" "$2" "HTTP over IPv6"
  wait_until 10 udp_answers "$1" "$v4" 5300 "$body" || server_failed "$1" "$2" "UDP over IPv4"
  wait_until 10 udp_answers "$1" "$v6" 5300 "$body" || server_failed "$1" "$2" "UDP over IPv6"
}

# server_failed HOST BACKEND WHAT
server_failed() {
  tail -n 5 "$run_dir/log/"*"-$2.log" >&2
  fail "$2 did not answer $1 by $3; Teal was not involved"
}

# http_answers HOST ADDRESS PORT EXPECTED: the body must begin with EXPECTED.
http_answers() {
  local body
  body=$(in_host "$1" curl -s -g --max-time 1 "http://$2:$3/") && [[ $body == "$4"* ]]
}

# udp_answers HOST ADDRESS PORT EXPECTED
udp_answers() {
  local answer
  answer=$(in_host "$1" "$repo/scripts/lab.d/udp_echo.py" --ask "$2" "$3" hello 2>/dev/null) &&
    [[ $answer == "$4"*hello ]]
}
