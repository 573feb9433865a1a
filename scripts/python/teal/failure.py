# SPDX-License-Identifier: Apache-2.0
"""Errors that a script reports to its operator in one line."""


class Failure(Exception):
    """A measurement or a step failed; the message says what happened and what was expected."""


def expect(condition, message):
    if not condition:
        raise Failure(message)
