#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What Teal says about NICs that DPDK owns: the log, links and counters, and why a start fails.

    client1 == [NIC] edge (a virtual machine) [NIC] == blue1, blue2 | green1, green2

qemu unplugs the cable of a NIC. The tests from the first failing start on need a dataplane that does not run.
The last test leaves the lab as it was.
"""
import re

import lab
import niclab

NIC = niclab.NICS["back"]


def test_the_log_names_driver_queues_and_tap_of_each_port():
    log = niclab.log_of("dataplane")
    for side in niclab.TAPS:
        line = re.search(rf"port {side}: driver (net_\w+), queues: (\d), MAC .*, TAP {side}$", log, re.M)
        lab.expect(line, f"no line about port {side}: {log}")
        niclab.wait_for(
            f"link of {side} in the log", lambda: f"port {side}: link up" in niclab.log_of("dataplane")
        )
        print(re.findall(rf"port {side}: link up.*", niclab.log_of("dataplane")))


def test_a_link_that_goes_down_is_noticed_and_comes_back():
    niclab.wait_for_next_hops()
    niclab.set_link("back", False)
    niclab.wait_for("status shows it", lambda: niclab.port("back")["link"] == "down")
    niclab.wait_for("no backend has a next hop", lambda: len(niclab.unresolved()) == 12, 20)
    lab.expect("port back: link down" in niclab.teal("status").stdout, "`teal status` says it")
    lab.expect("port back: link down" in niclab.log_of("dataplane"), "the log says it")
    lab.expect('teal_port_link_up{port="back"} 0' in niclab.metrics(), "/metrics says it")
    niclab.set_link("back", True)
    niclab.wait_for("status shows it", lambda: niclab.port("back")["link"] == "up")
    niclab.wait_for_next_hops()
    lab.expect_equal("answer of a new flow", lab.ask_once("service-a", "nic-client1").split()[0], "blue")


def test_the_nic_counts_what_the_workers_receive():
    before = niclab.port("front")["counters"]
    flow = niclab.open_flow("service-a")
    for _ in range(20):
        flow.ask()
    niclab.wait_for(
        "20 packets more",
        lambda: niclab.port("front")["counters"]["rx_packets"] >= before["rx_packets"] + 20,
    )
    lab.expect('teal_port_rx_missed_total{port="front"} 0' in niclab.metrics(), niclab.metrics())
    lab.expect("rx_packets" in niclab.teal("stats").stdout, "`teal stats` shows it")


def test_more_workers_than_queues():
    niclab.niclab("stop", "dataplane")
    said = niclab.start_fails("--workers", "4")
    queues = "receive queues of the device: 2, transmit queues: 2, expected one of each for each of 4 workers"
    lab.expect(queues in said, said)


def test_device_of_a_driver_of_the_kernel():
    niclab.edge_shell(f"bind_nics virtio-pci {NIC}")
    said, warned = niclab.start_fails(), niclab.teal("check", "/exchange/teal.toml").stderr
    niclab.edge_shell(f"bind_nics vfio-pci {NIC}")
    niclab.give_groups()
    wanted = f"port back: PCI device {NIC} belongs to the kernel's driver virtio-pci"
    lab.expect(wanted in said, said)
    lab.expect(wanted in warned, f"`teal check`: {warned}")


def test_group_that_the_user_may_not_open():
    niclab.give_groups("0:0")
    said = niclab.start_fails()
    niclab.give_groups()
    lab.expect(re.search(r"port front: cannot open /dev/vfio/\d+ as uid \d+: Permission denied", said), said)


def test_absent_device():
    niclab.edge_shell(f"sed -i 's/{NIC}/0000:00:1e.0/' /exchange/teal.toml")
    said = niclab.start_fails()
    niclab.edge_shell(f"sed -i 's/0000:00:1e.0/{NIC}/' /exchange/teal.toml")
    lab.expect_equal("the error", said, "port back: this host has no PCI device 0000:00:1e.0")


def test_tap_made_without_multi_queue():
    niclab.edge_shell("ip link delete back; ip tuntap add mode tap name back")
    said = niclab.start_fails()
    niclab.edge_shell("ip link delete back")
    lab.expect(said.startswith("port back: TAP back was made without multi_queue"), said)


def test_former_tap_is_taken_over():
    """A kernel before 6.2 renames no interface that is up. The TAP then keeps its name."""
    niclab.edge_shell(
        "ip link delete front; ip tuntap add mode tap multi_queue name teal0; ip link set teal0 up;"
        " ip address add 198.18.1.1/24 dev teal0; ip address add fd18:1::1/64 dev teal0 nodad"
    )
    niclab.niclab("start", "dataplane")
    niclab.give_addresses("back")
    niclab.wait_for_next_hops()
    lab.expect_equal("answer of a new flow", lab.ask_once("service-a", "nic-client1").split()[0], "blue")
    niclab.niclab("exec", "client1", "--", "ping", "-c1", "-W10", "198.18.1.1")


def test_detach_removes_the_taps():
    detach = ("teal-dataplane", "--config", "/exchange/teal.toml", "--run-dir", "/run/teal", "--detach")
    said = niclab.edge(*detach).stderr
    lab.expect("TAP back stays: a dataplane has it open" in said, said)
    niclab.niclab("stop", "dataplane")
    said = niclab.edge(*detach).stderr
    lab.expect("TAP back removed" in said, said)
    lab.expect_equal("TAPs that are left", niclab.edge_shell("ip -o link show type tun").stdout, "")


def test_without_an_iommu_eal_chooses_physical_addresses():
    """uio_pci_generic needs them. The machine's IOMMU passes the addresses of such a device on unchanged."""
    both = " ".join(niclab.NICS.values())
    niclab.edge_shell(f"bind_nics uio_pci_generic {both}")
    niclab.niclab("start", "dataplane", "--as-root")
    niclab.give_addresses()
    niclab.wait_for_next_hops()
    log = niclab.log_of("dataplane")
    lab.expect("EAL uses physical addresses" in log, log)
    lab.expect_equal("answer of a new flow", lab.ask_once("service-a", "nic-client1").split()[0], "blue")
    niclab.niclab("stop", "dataplane")
    niclab.edge_shell(f"bind_nics vfio-pci {both}")
    niclab.give_groups()
    niclab.niclab("start", "dataplane")
    niclab.wait_for_next_hops()


niclab.run()
