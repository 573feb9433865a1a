# SPDX-License-Identifier: Apache-2.0
"""docs/openapi.yaml, and a client that compares every request and answer with it."""
import json
import pathlib

import jsonschema
import yaml

from teal.control_socket import UnixConnection

failures = []


def check(holds, what):
    if not holds:
        failures.append(what)
        print(f"FAILED: {what}")


class Document:
    def __init__(self, path):
        self.doc = yaml.safe_load(pathlib.Path(path).read_text())
        self.operations = {}  # (method, path) -> operation
        for url, methods in self.doc["paths"].items():
            for method, operation in methods.items():
                self.operations[method.upper(), url] = operation
        self.seen_status, self.seen_codes, self.seen_schemas = set(), set(), set()

    def check_itself(self):
        schemas = self.doc["components"]["schemas"]
        for name, schema in schemas.items():
            jsonschema.Draft202012Validator.check_schema(schema)
            self._check_objects(schema, name)
        names = [operation["operationId"] for operation in self.operations.values()]
        check(len(names) == len(set(names)), "every operation has a name of its own")
        used = set(
            json.dumps(self.doc).split("#/components/schemas/")[1:][i].split('"')[0]
            for i in range(json.dumps(self.doc).count("#/components/schemas/"))
        )
        check(used == set(schemas), f"schemas that nobody uses, or that are missing: {used ^ set(schemas)}")

    def _check_objects(self, schema, where):
        if isinstance(schema, list):
            for element in schema:
                self._check_objects(element, where)
        if not isinstance(schema, dict):
            return
        if schema.get("type") == "object":
            check(
                "additionalProperties" in schema, f"{where}: an object says whether it has other properties"
            )
            if "properties" in schema:
                check(schema["additionalProperties"] is False, f"{where}: an object has no other properties")
                missing = set(schema.get("required", [])) - set(schema["properties"])
                check(not missing, f"{where}: required and not described: {missing}")
        for key, value in schema.items():
            self._check_objects(value, f"{where}.{key}")

    def resolve(self, element):
        while "$ref" in element:
            part = self.doc
            for name in element["$ref"][2:].split("/"):
                part = part[name]
            element = part
        return element

    def validate(self, value, schema, what):
        validator = jsonschema.Draft202012Validator({**schema, "components": self.doc["components"]})
        for error in validator.iter_errors(value):
            best = jsonschema.exceptions.best_match([error])
            check(False, f"{what}: at {list(best.absolute_path)}: {best.message[:400]}")

    def query_of(self, operation):
        return sorted(
            parameter["name"]
            for parameter in map(self.resolve, operation.get("parameters", []))
            if parameter["in"] == "query"
        )


class Client:
    def __init__(self, document, run_dir):
        self.document, self.run_dir = document, run_dir

    def __call__(
        self,
        method,
        path,
        body=None,
        *,
        url=None,
        expect=200,
        code=None,
        name="control.sock",
        headers=None,
        connection=None,
    ):
        """Sends a request, and checks it and its answer with the document. `path` is a path of the
        document."""
        operation = self.document.operations[method, path]
        url = url or path
        if body is not None and expect == 200:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            self.document.validate(body, schema, f"{method} {url}: the request")
        connection = connection or UnixConnection(self.run_dir / name)
        sent = {"Content-Type": "application/json"} if method == "POST" else {}
        connection.request(
            method, url, body=None if body is None else json.dumps(body), headers=sent | (headers or {})
        )
        answer = connection.getresponse()
        what = f"{method} {url} {'' if body is None else json.dumps(body)}"
        text = answer.read()
        check(answer.status == expect, f"{what}: {answer.status}, expected {expect}: {text[:300]}")
        content_type = answer.headers["Content-Type"].split(";")[0]
        described = operation["responses"].get(str(answer.status), operation["responses"]["default"])
        content = self.document.resolve(described)["content"]
        check(content_type in content, f"{what}: {content_type} is not documented")
        value = text.decode()
        if content_type == "application/json":
            value = json.loads(text)
            self.document.validate(value, content[content_type]["schema"], what)
        self.document.seen_status.add((operation["operationId"], str(answer.status)))
        if answer.status != 200:
            self.document.seen_codes.add(value["error"]["code"])
        if code:
            check(value["error"]["code"] == code, f"{what}: {value['error']['code']}, expected {code}")
        return value
