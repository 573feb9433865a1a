# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The virtual machine of scripts/niclab: its packages, its boot, and commands in it. Sourced by
# scripts/niclab.
#
# The machine needs no disk and no login. Its first program (lab.d/guest_init.sh) mounts directories of the
# host over 9p and runs the scripts that appear in $run_dir/exchange/todo. qemu emulates the CPU (TCG), so the
# machine runs wherever qemu does, and slowly.

readonly cache=/var/cache/teal-nic-lab
readonly guest_memory_mb=1536
readonly guest_exchange=/exchange   # where the machine has $run_dir/exchange
readonly guest_config=$guest_exchange/teal.toml
readonly nics=(0000:00:10.0 0000:00:11.0)   # front, back
# Without these modules the machine cannot mount the host's directories, or has no NIC for DPDK.
readonly modules=(
  drivers/virtio fs/9p net/9p fs/netfs fs/fscache drivers/vfio drivers/uio drivers/net/tun.ko virt/lib
)

check_guest_needs() {
  command -v qemu-system-x86_64 >/dev/null ||
    cannot_run "qemu-system-x86_64 is missing: scripts/setup --test installs it"
  local binary
  for binary in control/teal control/teald dataplane/teal-dataplane; do
    [[ -x $build/$binary ]] ||
      fail "$build/$binary is missing; build it (ninja -C build) or set TEAL_BUILD_DIR"
  done
}

# unpack_packages: downloads and unpacks the kernel, its modules and busybox into the cache. A later run uses
# the files of an earlier one, so it needs no network.
unpack_packages() {
  local name version scratch
  if [[ ! -e $cache/ready ]]; then
    name=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends:/ { print $2; exit }') || true
    [[ -n $name ]] || cannot_run "apt knows no package linux-image-amd64: run apt-get update"
    say "downloading $name and busybox-static"
    rm -rf "$cache"
    scratch=$cache/packages
    mkdir -p "$scratch"
    if id _apt >/dev/null 2>&1; then chown _apt "$scratch"; fi
    (cd "$scratch" && apt-get -q download "$name" busybox-static) >"$cache/download.log" 2>&1 || {
      tail -n 5 "$cache/download.log" >&2
      cannot_run "apt-get download $name busybox-static failed: above is the end of its output"
    }
    dpkg-deb --fsys-tarfile "$scratch"/busybox-static_*.deb | tar -x -C "$cache" ./bin/busybox
    dpkg-deb --fsys-tarfile "$scratch"/linux-image-*.deb | tar -x -C "$scratch"
    version=$(basename "$scratch"/lib/modules/*)
    mv "$scratch/boot/vmlinuz-$version" "$cache/vmlinuz"
    keep_modules "$scratch/lib/modules/$version" "$cache/root/lib/modules/$version"
    rm -rf "$scratch"
    touch "$cache/ready"
  fi
}

# keep_modules FROM TO: copies the modules that the machine needs.
keep_modules() {
  local module
  for module in "${modules[@]}"; do
    if [[ ! -e $1/kernel/$module ]]; then continue; fi   # a kernel may have it built in, or not at all
    mkdir -p "$2/kernel/${module%/*}"
    cp -r "$1/kernel/$module" "$2/kernel/${module%/*}/"
  done
  cp "$1"/modules.{order,builtin,builtin.modinfo} "$2/"
  "$cache/bin/busybox" depmod -b "$cache/root" "${2##*/}"
}

# make_initramfs FILE
make_initramfs() {
  local root=$run_dir/root
  mkdir -p "$root"/{busybox,dev,proc,sys,run,tmp,usr,etc,lib,build,exchange}
  cp -r "$cache/root/lib/modules" "$root/lib/"
  cp "$cache/bin/busybox" "$root/busybox/"
  cp /etc/ld.so.cache "$root/etc/"
  echo root:x:0:0:root:/:/bin/sh >"$root/etc/passwd"
  install -m 755 "$repo/scripts/lab.d/guest_init.sh" "$root/init"
  (cd "$root" && find . | "$cache/bin/busybox" cpio -o -H newc 2>/dev/null) | gzip -1 >"$1"
  rm -rf "$root"
}

# boot_guest NIC QUEUE_PAIRS: returns when qemu runs.
boot_guest() {
  local nic=$1 pairs=$2 side slot=10 words
  make_initramfs "$run_dir/initramfs"
  # shellcheck disable=SC2054  # qemu's commas
  words=(
    qemu-system-x86_64 -M q35 -accel tcg,thread=multi -cpu "max,la57=off" -smp 2 -m "$guest_memory_mb"
    -nodefaults -no-reboot -display none -serial "file:$run_dir/log/console.log"
    -qmp "unix:$run_dir/qmp,server=on,wait=off"
    -device "intel-iommu,intremap=on,caching-mode=on"
    -kernel "$cache/vmlinuz" -initrd "$run_dir/initramfs"
    -append "console=ttyS0 quiet intel_iommu=on iommu=pt hugepages=256 mitigations=off panic=-1"
    -virtfs "local,path=/usr,mount_tag=usr,security_model=none,readonly=on"
    -virtfs "local,path=$build,mount_tag=build,security_model=none,readonly=on"
    -virtfs "local,path=$run_dir/exchange,mount_tag=exchange,security_model=none"
  )
  for side in front back; do
    local link="tap,id=$side,ifname=vm-$side,script=no,downscript=no"
    local device="$nic,netdev=$side,id=nic-$side,addr=$slot,mac=52:54:00:12:98:$slot"
    if [[ $nic == virtio-net ]]; then
      link+=",queues=$pairs"
      device="virtio-net-pci${device#"$nic"},iommu_platform=on,ats=on,disable-legacy=on"
      device+=",mq=on,vectors=$((2 * pairs + 2)),rss=on,hash=on"
    fi
    words+=(-netdev "$link" -device "$device")
    slot=$((slot + 1))
  done
  launch edge qemu@edge "$run_dir/log/qemu.log" "${words[@]}"
}

wait_for_guest() {
  wait_until 240 guest_up_or_dead || guest_failed "did not come up within 240 s"
  running qemu@edge || guest_failed "ended"
}

guest_up_or_dead() { [[ -e $run_dir/exchange/up ]] || ! running qemu@edge; }

guest_failed() {
  tail -n 20 "$run_dir/log/qemu.log" "$run_dir/log/console.log" >&2
  fail "the machine $1; above is the end of its output"
}

# in_guest COMMAND...: runs a command in the machine, after the commands before it. It has no input.
in_guest() {
  local name=$run_dir/exchange/todo/$EPOCHREALTIME-$BASHPID code
  printf '%q ' "$@" >"$name.new"
  mv "$name.new" "$name.sh"
  wait_until 240 guest_did "$name" || guest_failed "did not finish \"$*\" within 240 s"
  [[ -e $name.code ]] || guest_failed "ended"
  cat "$name.out"
  cat "$name.err" >&2
  code=$(<"$name.code")
  rm -f "$name".{out,err,code}
  return "$code"
}

guest_did() { [[ -e $1.code ]] || ! running qemu@edge; }

# prepare_guest WORKERS: writes the config, gives the NICs to DPDK, and makes the directories of
# tmpfiles.conf. The services run with the users and capabilities of their units, so the user of
# teal-dataplane must own the devices of the NICs.
prepare_guest() {
  sed -e "s/@WORKERS@/$1/" -e "s/@FRONT@/${nics[0]}/" -e "s/@BACK@/${nics[1]}/" -e "s/@IDLE@/adaptive/" \
    -e "s/@CPUS@//" -e 's/^udp_established = .*/udp_established = "5m"   # a restart takes seconds/' \
    "$repo/scripts/lab.d/teal.toml.in" >"$run_dir/exchange/teal.toml"
  local dataplane daemon
  dataplane=$(user_id teal-dataplane):$(group_id teal-dataplane)
  daemon=$(user_id teal):$(group_id teal)
  cat >"$run_dir/exchange/prepare.sh" <<END
set -e
mkdir -p /run/teal /run/teal-dataplane /run/state /dev/hugepages/teal /sys/fs/bpf/teal
chown root:${dataplane#*:} /run/teal
chown $dataplane /run/teal-dataplane /dev/hugepages/teal /sys/fs/bpf/teal
chown $daemon /run/state
chmod 3775 /run/teal
chmod 700 /run/teal-dataplane /run/state
chmod 2750 /dev/hugepages/teal /sys/fs/bpf/teal
chmod 711 /sys/fs/bpf
chmod 666 /dev/net/tun /dev/vfio/vfio
sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
bind_nics vfio-pci
chown $dataplane /dev/vfio/[0-9]*
END
  in_guest sh -c '. /init.functions; . /exchange/prepare.sh' || guest_failed "could not be prepared"
}

# start_program dataplane|daemon [--as-root] ARGUMENT...: returns when the workers poll, or the daemon
# answers.
start_program() {
  local what=$1 unit=teald from_line command as_root=no
  shift
  if [[ ${1:-} == --as-root ]]; then as_root=yes; shift; fi
  if [[ $what == dataplane ]]; then unit=teal-dataplane; fi
  touch "$run_dir/exchange/log/$what.log"
  from_line=$(($(wc -l <"$run_dir/exchange/log/$what.log") + 1))
  command=$(guest_command "$what" "$@")
  # shellcheck disable=SC1090  # by read_units
  (
    source "$run_dir/units/$unit"
    if [[ $as_root == yes ]]; then privileges=(); fi
    in_guest sh -c "umask $unit_umask; RUNTIME_DIRECTORY=/run/$unit setsid ${privileges[*]} $command \
      >>$guest_exchange/log/$what.log 2>&1 & echo \$! >$guest_exchange/pid/$what"
  )
  if ! wait_until 120 program_ready_or_dead "$what" "$from_line" || ! program_runs "$what"; then
    tail -n "+$from_line" "$run_dir/exchange/log/$what.log" >&2
    fail "the $what is not ready: above is its log"
  fi
}

program_runs() { in_guest sh -c "kill -0 \$(cat $guest_exchange/pid/$1)" 2>/dev/null; }
program_ready_or_dead() { program_ready "$@" || ! program_runs "$1"; }

# guest_command dataplane|daemon ARGUMENT...
guest_command() {
  if [[ $1 == dataplane ]]; then
    echo "teal-dataplane --config $guest_config --run-dir /run/teal ${*:2}"
  else
    echo "teald --config $guest_config --run-dir /run/teal --state-dir /run/state ${*:2}"
  fi
}

program_ready() {
  if [[ $1 == dataplane ]]; then
    tail -n "+$2" "$run_dir/exchange/log/dataplane.log" | grep -q 'ready:'
  else
    in_guest teal list >/dev/null 2>&1
  fi
}

# end_program stop|kill dataplane|daemon: returns when it has ended.
end_program() {
  local signal=TERM
  if [[ $1 == kill ]]; then signal=KILL; fi
  local pid="\$(cat $guest_exchange/pid/$2)"
  in_guest sh -c "kill -$signal $pid && while kill -0 $pid 2>/dev/null; do usleep 50000; done" ||
    fail "the $2 does not run"
}
