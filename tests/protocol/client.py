"""A language client in plain Python: frames on the pipes of `fovea lsp`, every message kept."""

import json
import queue
import subprocess
import threading
import time


class Client:
    def __init__(self, command, folder):
        self.server = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.seen = []  # (direction, message), in order
        self.methods = {}  # id -> method of our requests
        self.answers = {}  # id -> message
        self.arrived = threading.Condition()
        self.next_id = 0
        self.broken = None
        self.writing = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            while True:
                length = None
                while True:
                    header = self.server.stdout.readline()
                    if not header:
                        raise EOFError
                    header = header.rstrip(b"\r\n")
                    if not header:
                        break
                    name, _, value = header.partition(b": ")
                    if name.lower() == b"content-length":
                        length = int(value)
                    elif name.lower() != b"content-type":
                        raise ValueError(f"no frame on stdout: {header!r}")
                message = json.loads(self.server.stdout.read(length))
                self.seen.append(("in", message))
                if "method" in message:
                    if "id" in message:
                        self._send({"id": message["id"], "result": None})
                else:
                    with self.arrived:
                        if message["id"] in self.answers:
                            raise ValueError(f"two answers to {message['id']}")
                        self.answers[message["id"]] = message
                        self.arrived.notify_all()
        except Exception as error:  # noqa: BLE001
            with self.arrived:
                self.broken = error
                self.arrived.notify_all()

    def _send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        with self.writing:
            self.server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            self.server.stdin.flush()

    def notify(self, method, params):
        self._send({"method": method, "params": params})

    def start(self, method, params):
        self.next_id += 1
        self.methods[self.next_id] = method
        self._send({"id": self.next_id, "method": method, "params": params})
        return self.next_id

    def wait(self, number, seconds=20):
        until = time.monotonic() + seconds
        with self.arrived:
            while number not in self.answers:
                left = until - time.monotonic()
                if self.broken or left <= 0:
                    raise AssertionError(f"no answer to {self.methods[number]}: {self.broken or 'time is over'}")
                self.arrived.wait(left)
            return self.answers[number]

    def ask(self, method, params):
        answer = self.wait(self.start(method, params))
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def stop(self):
        self.ask("shutdown", None)
        self.notify("exit", None)
        return self.server.wait(10)
