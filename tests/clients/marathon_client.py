"""PyPI's `marathon` through all its public methods whose routes exist, against a running server.

Its models refuse keys that they do not know, so each answer that it reads proves that nothing is in it that Marathon's
clients of the day did not know. Methods whose routes do not exist yet are listed by name: a new method of the library,
or a route that exists by now, fails the last check.
"""

import collections
import collections.abc
import inspect
import threading

# The library was written for Pythons that still had this name.
collections.Iterable = collections.abc.Iterable

from marathon import MarathonClient, MarathonHttpError, NotFoundError
from marathon.exceptions import ConflictError, InternalServerError
from marathon.models import MarathonApp, MarathonGroup
from marathon.models.events import MarathonDeploymentSuccess, MarathonEvent

from stand import PATIENCE, Checks, Stayer, wait

# What has no route yet, with a call that must find none.
MISSING = {
    "create_group": lambda client: client.create_group(MarathonGroup(id="/g")),
    "list_groups": lambda client: client.list_groups(),
    "get_group": lambda client: client.get_group("/g"),
    "update_group": lambda client: client.update_group("/g", MarathonGroup()),
    "rollback_group": lambda client: client.rollback_group("/g", "v"),
    "delete_group": lambda client: client.delete_group("/g"),
    "scale_group": lambda client: client.scale_group("/g", 2),
    "list_event_subscriptions": lambda client: client.list_event_subscriptions(),
    "create_event_subscription": lambda client: client.create_event_subscription("http://a"),
    "delete_event_subscription": lambda client: client.delete_event_subscription("http://a"),
    "delete_leader": lambda client: client.delete_leader(),
}


class Recorder:
    """A client that notes which of its public methods were called and came back."""

    def __init__(self, client):
        self.client = client
        self.used = set()

    def __getattr__(self, name):
        method = getattr(self.client, name)

        def call(*args, **kwargs):
            answer = method(*args, **kwargs)
            self.used.add(name)
            return answer

        return call


def app(**more):
    """An app that does nothing."""
    return MarathonApp(cmd="exec sleep 86400", cpus=0.01, mem=16, **more)


def refused(error, act):
    """Expects an error, and gives it."""
    try:
        act()
    except error as found:
        return found
    raise AssertionError(f"no {error.__name__}")


def at_rest(client):
    """Waits until no deployment goes on."""
    wait("no deployment goes on", lambda: client.list_deployments() == [])


def running(client, name, count):
    """Waits until so many tasks of an app run, and gives them."""
    wait(f"{name} runs", lambda: client.get_app(name).tasks_running == count)
    at_rest(client)
    return client.list_tasks(name)


def apps(checks, client):
    """Apps: made, read, changed, scaled, put back, removed."""
    with checks.check("create_app"):
        made = client.create_app("/web", app(instances=2, labels={"team": "shop"}))
        assert (made.id, made.instances) == ("/web", 2), made
        assert made.deployments, "the deployment is named"
        assert client.create_app("/shop/cart", app()).id == "/shop/cart"
    with checks.check("create_app of an id that is taken is a ConflictError"):
        refused(ConflictError, lambda: client.create_app("/web", app()))
    with checks.check("create_app that is refused tells each fault"):
        error = refused(
            MarathonHttpError, lambda: client.create_app("/bad", MarathonApp(cmd="true", cpus=-1))
        )
        assert error.status_code == 422, error
        assert error.error_details, error
    with checks.check("get_app"):
        running(client, "/web", 2)
        found = client.get_app("/web", embed_tasks=True, embed_counts=True, embed_task_stats=True)
        assert [task.app_id for task in found.tasks] == ["/web", "/web"], found.tasks
        assert found.tasks_running == 2, found
        refused(NotFoundError, lambda: client.get_app("/nobody"))
    with checks.check("list_apps"):
        everything = {
            f"embed_{what}": True
            for what in (
                "tasks", "counts", "deployments", "readiness", "last_task_failure", "failures",
                "task_stats",
            )
        }
        assert {one.id for one in client.list_apps(**everything)} == {"/web", "/shop/cart"}
        assert [one.id for one in client.list_apps(label="team==shop")] == ["/web"]
        assert [one.id for one in client.list_apps(app_id="cart")] == ["/shop/cart"]
        assert client.list_apps(cmd="nothing") == []
    with checks.check("update_app"):
        before = client.get_app("/web").version
        answer = client.update_app("/web", MarathonApp(labels={"team": "ads"}))
        assert answer["deploymentId"] and answer["version"], answer
        at_rest(client)
        assert client.get_app("/web").labels == {"team": "ads"}
    with checks.check("list_versions and get_version"):
        assert before in client.list_versions("/web")
        assert client.get_version("/web", before).labels == {"team": "shop"}
    with checks.check("rollback_app"):
        client.rollback_app("/web", before)
        at_rest(client)
        assert client.get_app("/web").labels == {"team": "shop"}
    with checks.check("update_apps"):
        client.update_apps([app(id="/web", instances=1), app(id="/new")])
        running(client, "/web", 1)
        running(client, "/new", 1)
    with checks.check("scale_app"):
        client.scale_app("/web", instances=2)
        running(client, "/web", 2)
        client.scale_app("/web", delta=1)
        running(client, "/web", 3)
    with checks.check("restart_app"):
        before = {task.id for task in client.list_tasks("/web")}
        assert client.restart_app("/web")["deploymentId"]
        assert not before & {task.id for task in running(client, "/web", 3)}
    with checks.check("delete_app"):
        assert client.delete_app("/new")["deploymentId"]
        at_rest(client)
        refused(NotFoundError, lambda: client.delete_app("/new"))


def tasks(checks, client):
    """Tasks: listed, and ended in every way."""
    with checks.check("list_tasks and list_endpoints"):
        found = running(client, "/web", 3)
        assert all(task.started_at and task.host for task in found), found
        assert len(client.list_tasks()) == 4
        assert {one.app_id for one in client.list_endpoints()} == {"/web", "/shop/cart"}
    with checks.check("kill_task"):
        first = client.list_tasks("/web")[0]
        assert client.kill_task("/web", first.id).id == first.id
        wait("it is gone", lambda: first.id not in {one.id for one in client.list_tasks("/web")})
        running(client, "/web", 3)
    with checks.check("kill_task with scale"):
        first = client.list_tasks("/web")[0]
        assert client.kill_task("/web", first.id, scale=True)["deploymentId"]
        running(client, "/web", 2)
    with checks.check("kill_given_tasks"):
        ids = [task.id for task in client.list_tasks("/web")]
        assert client.kill_given_tasks(ids)
        wait("they are gone", lambda: not {one.id for one in client.list_tasks("/web")} & set(ids))
        running(client, "/web", 2)
        assert client.kill_given_tasks([client.list_tasks("/web")[0].id], scale=True, force=True)
        running(client, "/web", 1)
    with checks.check("kill_tasks"):
        before = [task.id for task in client.list_tasks("/web")]
        assert [task.id for task in client.kill_tasks("/web", host="localhost")] == before
        wait("it is replaced", lambda: [one.id for one in client.list_tasks("/web")] != before)
        running(client, "/web", 1)
        assert client.kill_tasks("/web", host="elsewhere") == []
        assert client.kill_tasks("/web", scale=True)["deploymentId"]
        running(client, "/web", 0)


def waiting(checks, client):
    """Deployments that do not end, and why."""
    with checks.check("list_deployments and list_queue"):
        client.create_app("/waits", app(constraints=[("hostname", "LIKE", "nowhere")]))
        wait("it is queued", lambda: [one.app.id for one in client.list_queue()] == ["/waits"])
        [running_one] = client.list_deployments()
        assert [step.app for step in running_one.current_actions] == ["/waits"], running_one
        [item] = client.list_queue(embed_last_unused_offers=True)
        assert item.app.id == "/waits" and item.last_unused_offers, item
    with checks.check("update_app of a locked app is a ConflictError"):
        refused(ConflictError, lambda: client.update_app("/waits", MarathonApp(instances=2)))
    with checks.check("reset_delay"):
        client.reset_delay("/waits")
        refused(NotFoundError, lambda: client.reset_delay("/web"))
    with checks.check("delete_deployment"):
        [one] = client.list_deployments()
        assert client.delete_deployment(one.id)["deploymentId"]
        at_rest(client)
        client.create_app("/waits", app(constraints=[("hostname", "LIKE", "nowhere")]))
        [one] = client.list_deployments()
        assert client.delete_deployment(one.id, force=True) == {}
        at_rest(client)
        client.delete_app("/waits")
        at_rest(client)


def server(checks, client):
    """The server itself."""
    with checks.check("get_info"):
        info = client.get_info()
        assert (info.name, info.elected) == ("marathon", True), info
    with checks.check("get_leader"):
        assert client.get_leader()["leader"] == client.get_info().leader
    with checks.check("ping"):
        assert client.ping() == b'"pong"'
    with checks.check("get_metrics"):
        assert client.get_metrics()["gauges"]["marathon.apps.active.gauge"]["value"] == 2


def events(checks, stayer, client):
    """The stream of events: whatever it is sent, it must know."""
    seen, over = [], threading.Event()
    trouble = []

    def follow():
        try:
            for event in client.event_stream():
                seen.append(event)
                if over.is_set():
                    return
        except Exception as error:  # noqa: BLE001
            trouble.append(error)

    with checks.check("event_stream"):
        threading.Thread(target=follow, daemon=True).start()
        wait("the stream begins", lambda: seen or trouble)
        other = MarathonClient(stayer.url)
        other.create_app("/told", app())
        running(other, "/told", 1)
        over.set()
        other.delete_app("/told")
        wait("the end is told", lambda: trouble or isinstance(seen[-1], MarathonEvent))
        assert not trouble, trouble
        kinds = {event.event_type for event in seen}
        wanted = {
            "event_stream_attached", "api_post_event", "group_change_success", "deployment_info",
            "deployment_step_success", "deployment_success", "status_update_event",
            "instance_changed_event",
        }
        assert wanted <= kinds, wanted - kinds
        client.used.add("event_stream")
    with checks.check("event_stream of chosen types"):
        at_rest(MarathonClient(stayer.url))
        stream = client.event_stream(event_types=[MarathonDeploymentSuccess])
        timer = threading.Timer(1, lambda: MarathonClient(stayer.url).create_app("/more", app()))
        timer.start()
        assert next(stream).event_type == "deployment_success"
        timer.join()
        client.delete_app("/more")


def missing(checks, client):
    """What does not exist yet is a 404, not an error of the server; and nothing was forgotten."""
    with checks.check(f"{len(MISSING)} methods find no route yet"):
        for name, call in MISSING.items():
            error = refused(MarathonHttpError, lambda call=call: call(client.client))
            assert not isinstance(error, InternalServerError), (name, error)
            assert error.status_code in (404, 405), (name, error)
    with checks.check("every public method was called"):
        public = {
            name
            for name, _ in inspect.getmembers(MarathonClient, inspect.isfunction)
            if not name.startswith("_")
        }
        assert public == client.used | set(MISSING), public ^ (client.used | set(MISSING))


def main():
    checks = Checks()
    with Stayer() as stayer:
        client = Recorder(MarathonClient(stayer.url, timeout=PATIENCE))
        apps(checks, client)
        tasks(checks, client)
        waiting(checks, client)
        server(checks, client)
        events(checks, stayer, client)
        missing(checks, client)
    print(f"not there yet: {', '.join(MISSING)}")
    checks.finish()


main()
