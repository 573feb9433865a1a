# SPDX-License-Identifier: Apache-2.0
"""Joins two pcaps of make_pcap: their packets alternate, and the shorter file is repeated."""
import itertools
import pathlib
import struct

FILE_HEADER_BYTES, RECORD_HEADER_BYTES = 24, 16
CAPTURED_BYTES_AT = 8  # in a record's header; make_pcap writes in the machine's byte order


def records(file):
    content = memoryview(pathlib.Path(file).read_bytes())
    at = FILE_HEADER_BYTES
    while at < len(content):
        end = at + RECORD_HEADER_BYTES + struct.unpack_from("=I", content, at + CAPTURED_BYTES_AT)[0]
        yield content[at:end]
        at = end


def interleave(longer, shorter, out, skip=0):
    """Writes `longer` without its first `skip` packets, and a packet of `shorter` after each of them.
    Returns the number of packets written."""
    packets = 0
    with open(out, "wb") as file:
        file.write(pathlib.Path(longer).read_bytes()[:FILE_HEADER_BYTES])
        for pair in zip(
            itertools.islice(records(longer), skip, None), itertools.cycle(list(records(shorter)))
        ):
            file.writelines(pair)
            packets += len(pair)
    return packets
