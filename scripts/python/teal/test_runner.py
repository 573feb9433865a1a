# SPDX-License-Identifier: Apache-2.0
"""Runner of test files whose tests are functions test_*(). scripts/test counts the lines that it prints:
"ok NAME", "not ok NAME: why" and "skip NAME: why"."""
import sys
import time
import traceback


class Skip(Exception):
    """Raised by a test that cannot run on this machine; the message says why."""


def expect(condition, message):
    if not condition:
        raise AssertionError(message)


def expect_equal(what, got, wanted):
    expect(got == wanted, f"{what} is {got!r}, expected {wanted!r}")


def run():
    """Runs the tests of the main module in their order, or those that the command line names. Exits with code
    1 if a test failed."""
    wanted = sys.argv[1:]
    tests = {name: test for name, test in vars(sys.modules["__main__"]).items() if name.startswith("test_")}
    unknown = set(wanted) - set(tests)
    if unknown:
        sys.exit(f"no test {', '.join(sorted(unknown))}; there are: {', '.join(tests)}")
    failed = False
    for name, test in tests.items():
        if wanted and name not in wanted:
            continue
        start = time.monotonic()
        try:
            test()
            print(f"ok {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except Skip as reason:
            print(f"skip {name}: {reason}", flush=True)
        except Exception as error:
            failed = True
            traceback.print_exc()
            print(f"not ok {name}: {type(error).__name__}: {error}", flush=True)
    sys.exit(1 if failed else 0)
