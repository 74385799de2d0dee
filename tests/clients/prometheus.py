"""Debian's Prometheus against a running server: its own discovery finds the tasks, and it scrapes them and /metrics.

Prometheus asks for `/v2/apps/?embed=apps.tasks` with a slash before the question mark, and refuses numbers that are not
whole, so that it finds a target at all says much; the labels say the rest.
"""

import json
import pathlib
import subprocess
import tempfile
import urllib.parse
import urllib.request

from stand import Checks, Stayer, free_port, sleeper, wait

# Answers a scrape, as an app would.
EXPORTER = r"""
exec python3 -c '
import http.server, os
class Exporter(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"app_answers 1\n")
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT0"])), Exporter).serve_forever()
'
"""

CONFIG = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - job_name: stayer
    static_configs: [{{targets: ["{server}"]}}]
  - job_name: tasks
    marathon_sd_configs: [{{servers: ["http://{server}"], refresh_interval: 1s}}]
    relabel_configs:
      - {{source_labels: [__meta_marathon_app], target_label: app}}
      - {{source_labels: [__meta_marathon_task], target_label: task}}
      - {{source_labels: [__meta_marathon_app_label_team], target_label: team}}
      - {{source_labels: [__meta_marathon_port_definition_label_metrics], target_label: metrics}}
      - {{source_labels: [__meta_marathon_port_index], target_label: port_index}}
      - {{source_labels: [metrics], regex: "yes", action: keep}}
"""


class Prometheus:
    """A running Prometheus."""

    def __init__(self, server):
        self.dir = tempfile.TemporaryDirectory(prefix="stayer-prometheus-")
        config = pathlib.Path(self.dir.name, "config.yml")
        config.write_text(CONFIG.format(server=server.removeprefix("http://")))
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/api/v1"
        self.log = pathlib.Path(self.dir.name, "stderr")
        with self.log.open("w") as log:
            self.child = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={config}",
                    f"--storage.tsdb.path={self.dir.name}/data",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def get(self, path):
        """What its API answers; nothing while it does not."""
        if self.child.poll() is not None:
            raise SystemExit(f"Prometheus ended: {self.log.read_text()}")
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return json.loads(answer.read())["data"]
        except OSError:
            return None

    def targets(self, job):
        """The targets of a job that it scrapes."""
        found = self.get("/targets?state=active") or {"activeTargets": []}
        return [one for one in found["activeTargets"] if one["labels"]["job"] == job]

    def healthy(self, job, count):
        """Waits until a job has so many targets, all scraped."""

        def look():
            targets = self.targets(job)
            good = [one for one in targets if one["health"] == "up"]
            return targets if len(good) == len(targets) == count else None

        return wait(f"{job} has {count} targets that are scraped", look)

    def query(self, text):
        """The series that an expression gives, once there are any."""
        path = "/query?query=" + urllib.parse.quote(text)
        return wait(f"{text} gives series", lambda: (self.get(path) or {}).get("result"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        self.dir.cleanup()


def main():
    checks = Checks()
    with Stayer() as stayer, Prometheus(stayer.url) as prometheus:
        ports = [{"port": 0, "name": "metrics", "labels": {"metrics": "yes"}}, {"port": 0}]
        exporter = {"cmd": EXPORTER, "instances": 2, "portDefinitions": ports}
        stayer.launch(sleeper("/shop/web", labels={"team": "shop"}, **exporter))
        stayer.launch(sleeper("/quiet", instances=2, portDefinitions=[{"port": 0}]))
        stayer.running("/shop/web", 2)
        tasks = stayer.get("/v2/apps/shop/web/tasks")["tasks"]

        with checks.check("scrapes /metrics"):
            prometheus.healthy("stayer", 1)
            assert prometheus.query("stayer_apps")[0]["value"][1] == "2"
        with checks.check("discovers each task of the app that asks for it, and none beside them"):
            found = prometheus.healthy("tasks", 2)
            assert {one["labels"]["task"] for one in found} == {task["id"] for task in tasks}
            expected = {f"{task['host']}:{task['ports'][0]}" for task in tasks}
            assert {one["labels"]["instance"] for one in found} == expected
        with checks.check("reads app, labels and ports"):
            for one in prometheus.targets("tasks"):
                labels = one["labels"]
                assert labels["app"] == "/shop/web", labels
                assert labels["team"] == "shop", labels
                assert labels["port_index"] == "0", labels
                assert labels["metrics"] == "yes", labels
        with checks.check("scrapes the tasks"):
            wait("both answer", lambda: len(prometheus.query("app_answers")) == 2)
        with checks.check("follows an app that grows"):
            stayer.ask("PUT", "/v2/apps/shop/web", {"instances": 3})
            prometheus.healthy("tasks", 3)
        with checks.check("lets go of an app that is removed"):
            stayer.ask("DELETE", "/v2/apps/shop/web")
            wait("no target is left", lambda: not prometheus.targets("tasks"))
    checks.finish()


main()
