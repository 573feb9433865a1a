#!/busybox/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: Apache-2.0
#
# The first program of the machine of scripts/niclab (lab.d/guest.sh). It mounts the host's directories and
# runs the scripts in /exchange/todo, one after another: NAME.sh leaves NAME.out, NAME.err and, at its end,
# NAME.code.
export PATH=/build/control:/build/dataplane:/usr/sbin:/usr/bin:/busybox HOME=/ LANG=C.UTF-8
export TEAL_SOCKET=/run/teal/control.sock

# mount_host TAG DIRECTORY OPTIONS
mount_host() { mount -t 9p -o "trans=virtio,version=9p2000.L,msize=262144,$3" "$1" "$2"; }

busybox mkdir -p /busybox
/busybox/busybox --install -s /busybox
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
for module in virtio_pci 9pnet_virtio 9p; do modprobe "$module"; done
mount_host usr /usr ro,cache=loose
mount_host build /build ro,cache=loose
mount_host exchange /exchange rw,cache=none
for directory in bin sbin lib64; do ln -s "usr/$directory" "/$directory"; done
ln -s /usr/lib/x86_64-linux-gnu /lib/x86_64-linux-gnu
# EAL opens all of DPDK's drivers, which takes 20 s here. It finds only those that the machine needs.
mkdir /drivers
for directory in /usr/lib/x86_64-linux-gnu/dpdk/pmds-*; do
  for driver in bus_pci bus_vdev mempool_ring net_e1000 net_tap net_virtio net_vmxnet3; do
    cp -P "$directory/librte_$driver".so* /drivers/
  done
  mount -o bind /drivers "$directory"
done
mkdir -p /dev/hugepages /dev/shm
mount -t hugetlbfs hugetlbfs /dev/hugepages
mount -t tmpfs tmpfs /dev/shm
mount -t bpf bpf /sys/fs/bpf
for module in vfio-pci vfio_iommu_type1 uio_pci_generic tun; do modprobe "$module"; done
ip link set lo up

cat >/init.functions <<'END'
# bind_nics DRIVER [ADDRESS...]: gives the NICs to a driver.
bind_nics() {
  driver=$1
  shift
  for nic in "${@:-0000:00:10.0 0000:00:11.0}"; do
    for address in $nic; do
      device=/sys/bus/pci/devices/$address
      if [ -e "$device/driver" ]; then echo "$address" >"$device/driver/unbind"; fi
      echo "$driver" >"$device/driver_override"
      echo "$address" >/sys/bus/pci/drivers_probe
    done
  done
}
END

touch /exchange/up
while :; do
  for script in /exchange/todo/*.sh; do
    [ -e "$script" ] || continue
    name=${script%.sh}
    /bin/sh "$script" </dev/null >"$name.out" 2>"$name.err"
    echo $? >"$name.code.new"
    rm "$script"
    mv "$name.code.new" "$name.code"
  done
  usleep 50000
done
