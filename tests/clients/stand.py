"""What the tests with clients of others share: a server of their own, waiting, and counting.

Each test is a program that prints one line per check and ends with the line that `cargo test` ends with, which
`scripts/test` adds up. Nothing here knows a client.
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

PATIENCE = 60


class Stayer:
    """A running `stayer dev` with plain processes alone, over a directory that goes with it."""

    def __init__(self, *args):
        self.dir = tempfile.TemporaryDirectory(prefix="stayer-clients-")
        self.url = f"http://127.0.0.1:{free_port()}"
        # Below those that the kernel gives out, and none that tests/it uses.
        ports = os.environ.get("STAYER_TEST_PORTS", "30100-30199")
        command = [os.environ["STAYER"], "dev", "--no-engine", "--stop-tasks"]
        command += ["--listen", self.url.removeprefix("http://"), "--data-dir", self.dir.name]
        command += ["--hostname", "localhost", "--ports", ports]
        self.log = pathlib.Path(self.dir.name, "stderr")
        with self.log.open("w") as log:
            self.child = subprocess.Popen(
                [*command, *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
            )
        wait("the server answers", self.answers)

    def answers(self):
        if self.child.poll() is not None:
            raise SystemExit(f"the server ended: {self.log.read_text()}")
        with contextlib.suppress(OSError):
            return self.ask("GET", "/ping")[0] == 200
        return False

    def ask(self, method, path, body=None):
        """The status and the text that a request is answered with."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def get(self, path):
        """The JSON at a path."""
        status, text = self.ask("GET", path)
        assert status == 200, f"{path}: {status} {text}"
        return json.loads(text)

    def launch(self, app):
        """Posts an app that must be taken."""
        status, text = self.ask("POST", "/v2/apps", app)
        assert status == 201, f"{app['id']}: {status} {text}"

    def running(self, app, count):
        """Waits until so many tasks of an app run."""
        wait(f"{app} runs", lambda: self.get(f"/v2/apps{app}")["app"]["tasksRunning"] == count)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Twice, should its end hang: its tasks go with it.
        for name in (signal.SIGINT, signal.SIGKILL):
            self.child.send_signal(name)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(PATIENCE)
                break
        self.dir.cleanup()


class Checks:
    """Counts what was checked. A check that fails is told, and the others go on."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    @contextlib.contextmanager
    def check(self, what):
        """One check: whatever is raised within is its failure."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            self.failed += 1
            print(f"check {what} ... FAILED: {type(error).__name__}: {error}", flush=True)
        else:
            self.passed += 1
            print(f"check {what} ... ok", flush=True)

    def finish(self):
        """Tells how many there were, and ends the program."""
        result = "FAILED" if self.failed else "ok"
        print(f"test result: {result}. {self.passed} passed; {self.failed} failed; 0 ignored")
        sys.exit(1 if self.failed or not self.passed else 0)


def wait(what, condition):
    """Waits for a condition, and gives what it gives."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def sleeper(app, **more):
    """An app that does nothing."""
    return {"id": app, "cmd": "exec sleep 86400", "cpus": 0.01, "mem": 16, **more}
