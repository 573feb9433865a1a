# SPDX-License-Identifier: Apache-2.0
"""teald's control socket."""
import http.client
import json
import socket

from machine import Failure, expect


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=15)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Api:
    def __init__(self, path):
        self.path, self.connection = path, None

    def call(self, method, path, body=None):
        """teald ends a connection that was idle: what only asks is then asked once more on a new one."""
        for last_try in (False, True):
            try:
                return self.call_once(method, path, body)
            except (OSError, http.client.HTTPException) as error:
                self.connection.close()
                self.connection = None
                if last_try or method != "GET":
                    raise Failure(f"teald: {method} {path}: {error!r}") from None

    def call_once(self, method, path, body):
        if self.connection is None:
            self.connection = Connection(self.path)
        self.connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        content = json.loads(answer.read())
        expect(answer.status == 200, f"{method} {path}: {answer.status} {content}")
        return content
