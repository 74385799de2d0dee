"""What `schemathesis` may not do, and what it should aim at.

Requests come from chance and commands run as whoever runs the tests, so whatever would be run is replaced by a sleep
right before a request leaves. Half the requests are aimed at what there is, since chance never guesses an id.
"""

import json
import os
import urllib.request
import zlib

import schemathesis

# Members whose texts are run, wherever they stand.
RUN = {"cmd", "args", "command", "entrypoint"}
SLEEP = "exec sleep 86400"
MOST_INSTANCES = 2


@schemathesis.hook
def before_call(context, case, kwargs):
    """Disarms a request, and aims it."""
    if isinstance(case.body, (dict, list)):
        case.body = disarmed(case.body)
    query = case.query or {}
    if "follow" in query:
        # Has no end.
        del query["follow"]
    aim(case)


def disarmed(value, key=None):
    """A body that does nothing to this machine."""
    if key in RUN and value:
        return harmless(value)
    if key == "instances" and isinstance(value, int) and value > MOST_INSTANCES:
        return MOST_INSTANCES
    if key in ("fetch", "uris") and isinstance(value, list):
        return []
    if isinstance(value, dict):
        return {name: disarmed(member, name) for name, member in value.items()}
    if isinstance(value, list):
        return [disarmed(member) for member in value]
    return value


def harmless(value):
    """The same shape, and nothing to run."""
    if isinstance(value, str):
        return SLEEP
    if isinstance(value, list):
        return ["sleep", "86400"] if all(isinstance(one, str) for one in value) else value
    if isinstance(value, dict):
        return {name: SLEEP if isinstance(one, str) else one for name, one in value.items()}
    return value


def aim(case):
    """Puts what there is into half the paths."""
    path = case.path_parameters or {}
    if not path or zlib.crc32(repr(sorted(path.items())).encode()) % 2:
        return
    if "agent" in path:
        path["agent"] = "localhost"
    if "group" in path:
        path["group"] = "seed"
    if "id" in path:
        path["id"] = existing(case.path)
    if "task" in path:
        path["task"] = first_task() or path["task"]
    if "version" in path:
        versions = get("/v2/apps/seed/runs/versions").get("versions") or [path["version"]]
        path["version"] = versions[-1]


def existing(path):
    """An id that this path leads to."""
    if path.startswith("/v2/deployments"):
        running = get("/v2/deployments") or [{"id": "none"}]
        return running[0]["id"]
    return "seed/waits" if path.startswith("/v2/queue") else "seed/runs"


def first_task():
    """A task that runs."""
    tasks = get("/v2/apps/seed/runs/tasks").get("tasks")
    return tasks[0]["id"] if tasks else None


def get(path):
    """What there is; nothing where that is gone."""
    try:
        with urllib.request.urlopen(os.environ["STAYER_URL"] + path, timeout=20) as answer:
            return json.loads(answer.read())
    except OSError:
        return {}
