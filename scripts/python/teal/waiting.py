# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition with a time limit."""
import time


def wait_until(what, condition, seconds=10.0, every=0.05, error=TimeoutError):
    """Calls condition() until it returns something true, and returns that. Raises `error` after `seconds`."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() >= end:
            raise error(f"not within {seconds:g} s: {what}")
        time.sleep(every)
    return value
