# SPDX-License-Identifier: Apache-2.0
"""teald's API for the benchmarks: every answer other than 200 is a Failure."""
import http.client

from machine import Failure, expect
from teal.control_socket import ControlSocket


class TealApi:
    def __init__(self, path):
        self.socket = ControlSocket(path)

    def call(self, method, path, body=None):
        """Returns the answer's JSON."""
        try:
            status, content = self.socket.call(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f"teald: {method} {path}: {error!r}") from None
        expect(status == 200, f"{method} {path}: {status} {content}")
        return content
