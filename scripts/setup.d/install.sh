# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# scripts/setup --install and --uninstall. Sourced by scripts/setup.

readonly config=/etc/teal/teal.toml
readonly services=(teal-health.service teald.service teal-dataplane.service)

# manifest PREFIX: the list of installed files, one path a line. Directories that the installation made are in
# it as "DIRECTORY/", after their content.
manifest() { echo "$1/share/teal/installed"; }
systemd_runs() { [[ -d /run/systemd/system ]]; }

# install_teal PREFIX: installs Teal, and removes the other files of an older installation.
install_teal() {
  local prefix=$1 build=$repo/build-install before=()
  if [[ -e $(manifest "$prefix") ]]; then mapfile -t before <"$(manifest "$prefix")"; fi

  say "building in ${build#"$repo/"}"
  # Warnings are errors for developers of Teal. Another compiler on a production machine may warn.
  local options=(--prefix "$prefix" --buildtype=release -Dwerror=false -Dtests=false)
  if [[ -e $build/build.ninja ]]; then
    quietly meson configure "$build" "${options[@]/#--buildtype=/-Dbuildtype=}"
  else
    quietly meson setup "$build" "$repo" "${options[@]}"
  fi
  quietly ninja -C "$build"
  quietly meson install --no-rebuild -C "$build"

  local path
  mkdir -p "$prefix/share/teal"
  {
    while read -r path; do
      if [[ -d $path ]]; then echo "$path/"; else echo "$path"; fi
    done < <(grep '^/' "$build/meson-logs/install-log.txt")
    printf '%s\n' "${before[@]}" "$prefix/share/teal/" | grep '/$'
    manifest "$prefix"
  } | sort -ru >"$build/installed"
  for path in "${before[@]}"; do
    if [[ ! -d $path ]] && ! grep -qxF -e "$path" "$build/installed"; then rm -f "$path"; fi
  done
  install -m 644 "$build/installed" "$(manifest "$prefix")"

  if [[ ! -e $config ]]; then
    cp "$config.example" "$config"
    say "$config is an example; put your ports and services into it"
  fi
  systemd-sysusers "$prefix/lib/sysusers.d/teal.conf"
  systemd-tmpfiles --create "$prefix/lib/tmpfiles.d/teal.conf" ||
    say "some directories are missing: see above"
  adopt_what_root_made
  next_steps "$prefix"
}

# A dataplane that root started by hand left flows and pins. The service takes them over.
adopt_what_root_made() {
  local path
  for path in /dev/hugepages/teal/* /run/teal/{segment,flows}.tmpfs* /sys/fs/bpf/teal/*; do
    if [[ -e $path && $(stat -c %U "$path") == root ]]; then
      chown -h teal-dataplane:teal-dataplane "$path"
      chmod 0660 "$path"
    fi
  done
}

next_steps() {
  local running=() service
  say "installed in $1"
  if ! systemd_runs; then
    say "systemd does not run here; the programs can be started by hand (README.md)"
    return
  fi
  systemctl daemon-reload
  for service in "${services[@]}"; do
    if systemctl --quiet is-active "$service"; then running+=("$service"); fi
  done
  say "next:"
  say "  edit $config, then: teal check $config"
  if ((${#running[@]} > 0)); then
    say "  systemctl restart ${running[*]}   # the running programs are of the older installation"
  fi
  say "  systemctl enable --now teal-dataplane teald teal-health"
  say "  usermod -aG teal NAME                 # for each operator"
}

# uninstall_teal PREFIX: removes the installed files. Config, state and users stay.
uninstall_teal() {
  local prefix=$1 paths=() path
  if [[ ! -e $(manifest "$prefix") ]]; then
    say "nothing is installed in $prefix: $(manifest "$prefix") does not exist"
    return
  fi
  mapfile -t paths <"$(manifest "$prefix")"
  if systemd_runs; then
    systemctl --quiet disable --now "${services[@]}" || say "could not stop the services" >&2
  fi
  # A steering program that stays would drop the packets of the services for ever.
  if [[ -e $config ]] && ! "$prefix/sbin/teal-dataplane" --config "$config" --detach; then
    say "could not detach the steering program; run for each port: ip link set dev PORT xdp off" >&2
  fi
  for path in "${paths[@]}"; do
    if [[ $path != */ ]]; then
      rm -f "$path"
    elif [[ -d $path ]]; then
      rmdir --ignore-fail-on-non-empty "$path"
    fi
  done
  if systemd_runs; then systemctl daemon-reload; fi
  say "removed from $prefix; kept: $config, /var/lib/teal, the users teal, teal-dataplane and teal-health"
}

# quietly COMMAND...: its output is shown only when it fails.
quietly() {
  local output
  output=$("$@" 2>&1) || { tail -n 40 <<<"$output" >&2; say "failed: $*" >&2; exit 1; }
}
