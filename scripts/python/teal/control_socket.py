# SPDX-License-Identifier: Apache-2.0
"""Client of teald's API on its unix socket."""
import http.client
import json
import socket


class UnixConnection(http.client.HTTPConnection):
    """HTTP on a unix socket, for requests and answers of any form."""

    def __init__(self, path, timeout=15):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class ControlSocket:
    """JSON requests on one connection that is kept open."""

    def __init__(self, path, timeout=15):
        self.path, self.timeout, self.connection = path, timeout, None

    def call(self, method, path, body=None):
        """Returns status and answer. teald closes an idle connection: a GET is then sent again on a new one.
        Raises OSError or HTTPException when teald does not answer."""
        for last_try in (method != "GET", True):
            try:
                return self._call_once(method, path, body)
            except (OSError, http.client.HTTPException):
                self.close()
                if last_try:
                    raise

    def totals(self):
        """The sums of all counters, by name."""
        status, answer = self.call("GET", "/v1/counters")
        if status != 200:
            raise OSError(f"GET /v1/counters: {status} {answer}")
        return answer["totals"]

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def _call_once(self, method, path, body):
        if self.connection is None:
            self.connection = UnixConnection(self.path, self.timeout)
        content = None if body is None else json.dumps(body)
        self.connection.request(method, path, content, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())
