"""`schemathesis` against a running server: no 5xx, and no answer that `api-spec/openapi.json` does not know.

It makes requests from the document, valid and invalid ones, and holds each answer against it: status, type, headers,
shape. That Marathon refuses some of what its schema allows, and takes some of what it does not, is no fault here.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from stand import Stayer, sleeper

HERE = pathlib.Path(__file__).parent
DOCUMENT = HERE.parent.parent / "api-spec" / "openapi.json"

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)

# How long it may look for faults, beside the examples and edge cases that it always tries.
SECONDS = os.environ.get("STAYER_FUZZ_SECONDS", "60")


def seed(stayer):
    """What there is to ask for: an app that runs, one that fails, one that waits, and older versions."""
    stayer.launch(sleeper("/seed/runs", instances=2, labels={"a": "b"}, portDefinitions=[{"port": 0}]))
    stayer.running("/seed/runs", 2)
    stayer.ask("PUT", "/v2/apps/seed/runs", {"labels": {"a": "c"}})
    stayer.launch(sleeper("/seed/waits", constraints=[["hostname", "LIKE", "nowhere"]]))
    stayer.launch({**sleeper("/seed/fails"), "cmd": "exit 1"})


def main():
    with Stayer("--resources", "cpus:1;mem:1024") as stayer, tempfile.TemporaryDirectory() as work:
        seed(stayer)
        command = [
            str(pathlib.Path(sys.executable).with_name("schemathesis")),
            f"--config-file={HERE / 'schemathesis.toml'}",
            "run",
            str(DOCUMENT),
            f"--url={stayer.url}",
            f"--checks={','.join(CHECKS)}",
            f"--max-time={SECONDS}",
            "--phases=examples,coverage,fuzzing,stateful",
            "--continue-on-failure",
            "--request-timeout=20",
            "--seed=1",
            "--no-color",
            "--warnings=off",
            # Few texts are an app's path; that most are thrown away says nothing of the server.
            "--suppress-health-check=filter_too_much",
        ]
        environment = {
            **os.environ,
            "SCHEMATHESIS_HOOKS": "fuzz_hooks",
            "PYTHONPATH": str(HERE),
            "STAYER_URL": stayer.url,
            "COLUMNS": "200",
        }
        run = subprocess.run(
            command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
        )
        alive = stayer.ask("GET", "/ping")[0] == 200
    report(run, alive)


def report(run, alive):
    """Each operation that was tried is a check; each fault that was found fails one."""
    operations = sum(len(verbs) for verbs in json.loads(DOCUMENT.read_text())["paths"].values())
    tested = int((re.search(r"Tested: +(\d+)", run.stdout) or [0, 0])[1])
    cases = int((re.search(r"([\d,]+) generated", run.stdout) or [0, "0"])[1].replace(",", ""))
    faults = int((re.search(r"(\d+) unique failure", run.stdout) or [0, 0])[1])
    if run.returncode or tested != operations or not alive:
        print(run.stdout)
        faults = max(faults, 1)
    print(f"{cases} requests to {tested} of {operations} operations, {faults} faults")
    result = "FAILED" if faults else "ok"
    print(f"test result: {result}. {max(tested - faults, 0)} passed; {faults} failed; 0 ignored")
    sys.exit(1 if faults else 0)


main()
