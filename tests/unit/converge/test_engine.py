# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs against stand-ins for the API server and for Helm."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.openmlops.platform.plugins.module_utils.converge import plan as plans
from ansible_collections.openmlops.platform.plugins.module_utils.converge import record
from ansible_collections.openmlops.platform.plugins.module_utils.converge.apply import ApplyError, Outcome
from ansible_collections.openmlops.platform.plugins.module_utils.converge.engine import Engine, not_ready
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Ref
from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import Release, Releases
from ansible_collections.openmlops.platform.plugins.module_utils.converge.wait import Waiter, WaitError
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import FakeCluster, FakeHelm, manifest

WIDGETS = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: widgets.example.org\n"
CLAIM = manifest("PersistentVolumeClaim", "data", "app", spec={"size": 1})
CONFIG = manifest("ConfigMap", "c", "app", data={"a": "1"})
OTHER = manifest("ConfigMap", "d", "app", data={"a": "1"})
WEB = manifest("Deployment", "web", "app", spec={"replicas": 1, "template": {"mark": "<fingerprint app/db>"}})
PASSWORD = {"name": "db", "data": {"password": {"generate": "password"}}}
RELEASE = {"name": "r", "values": {"mark": "<fingerprint app/db>"}}
FULL = {
    "definitions": {"definitions": ["widgets"]}, "stores": {"objects": [CLAIM, CONFIG]}, "operators": {"releases": [RELEASE]},
    "applications": {"objects": [WEB]}, "routes": {"objects": [manifest("Widget", "w", "app")]},
}


def ready(obj):
    """A controller that is done at once."""
    if obj["kind"] == "Deployment":
        obj["status"] = {"observedGeneration": obj["metadata"]["generation"], "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    if obj["kind"] == "CustomResourceDefinition":
        obj["status"] = {"conditions": [{"type": "Established", "status": "True"}]}


class Platform:
    """The engine with everything it needs; each call of ``run`` and ``remove`` is a run of its own."""

    def __init__(self, cluster, helm, told):
        self.cluster, self.helm, self.told = cluster, helm, told
        self.mark = "one"
        self.bootstrapped = []
        cluster.after = ready
        helm.charts["chart"] = ("1.0.0", lambda values: [manifest("Deployment", values.get("name", "helmed"), spec={"values": values})])

    def engine(self, check=False):
        releases = Releases(self.cluster, self.helm, self.told.append, check)
        waiter = Waiter(self.cluster, self.told.append, 60.0)
        return Engine(self.cluster, "openmlops", releases, waiter, lambda specs: self.bootstrap(specs, check), self.told.append, check)

    def bootstrap(self, specs, check):
        outcomes, marks = [], {}
        for spec in specs:
            space = spec.get("namespace", "app")
            self.bootstrapped.append(spec["name"])
            there = self.cluster.find("Secret", spec["name"], space)
            outcomes.append(Outcome(Ref("Secret", space, spec["name"]), "unchanged" if there else "created"))
            if not check:
                self.cluster.apply(manifest("Secret", spec["name"], space, stringData={"password": self.mark}))
            marks[f"{space}/{spec['name']}"] = self.mark
        return outcomes, marks

    @staticmethod
    def plan(component="mlflow", namespace="app", secrets=(), offspring=(), **phases):
        return plans.parse(
            {"component": component, "namespace": namespace, "about": {"version": "1"}, "secrets": list(secrets), "phases": phases,
             "offspring": list(offspring)},
            lambda raw: Release(raw["name"], raw.get("namespace", namespace), "chart", raw.get("digest", "digest"), raw["values"],
                                data=raw.get("data", False)),
            lambda name: WIDGETS,
        )

    def run(self, *wanted, check=False):
        self.cluster.requests.clear()
        return self.engine(check).converge(list(wanted))

    def remove(self, *components, check=False, **options):
        self.cluster.requests.clear()
        return self.engine(check).remove(list(components), **options)

    def members(self, component="mlflow"):
        found = record.read_all(self.cluster, "openmlops").get(component)
        return {str(Ref(member.kind, member.namespace, member.name)) for member in found.members} if found else None

    def applied(self):
        return [(kind, name) for verb, kind, name in self.cluster.requests if verb in ("apply", "create")]


@pytest.fixture
def platform(cluster, helm, told, clock):
    found = Platform(cluster, helm, told)
    found.clock = clock
    return found


def changed(report):
    return sorted((str(outcome.ref), outcome.action) for outcome in report.outcomes if outcome.changed)


# -- present --------------------------------------------------------------------------------------------------------


def test_everything_in_the_order_of_the_phases(platform):
    report = platform.run(platform.plan(secrets=[PASSWORD], **FULL))
    assert changed(report) == [
        ("ConfigMap app/c", "created"), ("CustomResourceDefinition widgets.example.org", "created"), ("Deployment app/web", "created"),
        ("Namespace app", "created"), ("Namespace openmlops", "updated"), ("PersistentVolumeClaim app/data", "created"),
        ("Release app/r", "created"), ("Secret app/db", "created"), ("Widget app/w", "created"),
    ]
    made = [entry for entry in platform.applied() if entry[1] in ("app", "db", "widgets.example.org", "helmed", "c", "web", "w")]
    assert made == [("Namespace", "app"), ("Secret", "db"), ("CustomResourceDefinition", "widgets.example.org"),
                    ("Deployment", "helmed"), ("ConfigMap", "c"), ("Deployment", "web"), ("Widget", "w")]
    assert list(report.seconds) == ["foundation", "definitions", "operators", "stores", "applications", "routes"]


def test_second_run_changes_nothing(platform):
    wanted = platform.plan(secrets=[PASSWORD], **FULL)
    platform.run(wanted)
    platform.helm.calls.clear(), platform.told.clear()
    before = {key: obj["metadata"]["resourceVersion"] for key, obj in platform.cluster.objects.items()}
    assert not platform.run(wanted).changed
    assert {key: obj["metadata"]["resourceVersion"] for key, obj in platform.cluster.objects.items()} == before
    assert not platform.helm.calls and not platform.told


def test_record_is_written_before_the_objects(platform):
    platform.run(platform.plan(**FULL))
    made = platform.applied()
    assert made.index(("ConfigMap", "component-mlflow")) < min(made.index(entry) for entry in [("Namespace", "app"), ("ConfigMap", "c")])


@pytest.mark.parametrize("number", range(3, 14))
def test_run_that_is_killed_anywhere_leaves_nothing_unknown(platform, number):
    wanted = platform.plan(secrets=[PASSWORD], **FULL)
    left = [number]

    def kill(verb, obj):
        if verb in ("apply", "create", "patch"):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt

    platform.cluster.before = kill
    with pytest.raises(KeyboardInterrupt):
        platform.run(wanted)
    platform.cluster.before = lambda verb, obj: None
    known = platform.members() or set()
    there = {"/".join(filter(None, (key[0], key[1], key[2]))) for key in platform.cluster.objects if key[1] == "app" and key[2] != "helmed"}
    told = {"/".join(text.replace(" ", "/").split("/")) for text in known}
    assert {entry for entry in there if "sh.helm" not in entry} <= told
    platform.run(wanted)
    assert not platform.run(wanted).changed


def test_phases_of_several_components_run_together(platform):
    first = platform.plan("one", "app", applications={"objects": [CONFIG]})
    second = platform.plan("two", "app", stores={"objects": [OTHER]})
    platform.run(first, second)
    made = platform.applied()
    assert made.index(("ConfigMap", "d")) < made.index(("ConfigMap", "c"))
    assert made.count(("Namespace", "app")) == 1


def test_phase_waits_before_the_next_one(platform):
    platform.cluster.after = lambda obj: None
    with pytest.raises(WaitError, match="Deployment app/web"):
        platform.run(platform.plan(applications={"objects": [WEB]}, routes={"objects": [CONFIG]}))
    assert platform.cluster.find("ConfigMap", "c", "app") is None
    assert "ConfigMap app/c" in platform.members()


def test_workloads_of_releases_are_waited_for(platform):
    platform.cluster.after = lambda obj: None
    with pytest.raises(WaitError, match="Deployment app/helmed"):
        platform.run(platform.plan(operators={"releases": [RELEASE]}))


def test_fingerprints_reach_objects_and_values(platform):
    wanted = platform.plan(secrets=[PASSWORD], **FULL)
    platform.run(wanted)
    assert platform.cluster.find("Deployment", "web", "app")["spec"]["template"]["mark"] == "one"
    assert platform.cluster.find("Deployment", "helmed", "app")["spec"]["values"] == {"mark": "one"}
    platform.mark = "two"
    assert changed(platform.run(wanted)) == [("Deployment app/web", "updated"), ("Release app/r", "updated")]
    assert platform.cluster.find("Deployment", "helmed", "app")["spec"]["values"] == {"mark": "two"}


def test_secrets_are_made_once_in_their_namespaces(platform):
    platform.run(platform.plan(secrets=[PASSWORD, {"name": "far", "namespace": "elsewhere"}]))
    assert platform.bootstrapped == ["db", "far"]
    assert platform.cluster.find("Secret", "far", "elsewhere")


def test_refused_object_ends_the_run(platform):
    platform.cluster.before = lambda verb, obj: 1 / 0 if obj["metadata"].get("name") == "never" else None
    with pytest.raises(ApplyError, match="missing or not a string: apiVersion"):
        platform.engine()._apply([{"kind": "X", "metadata": {"name": "x"}}], set())


# -- prune ----------------------------------------------------------------------------------------------------------


def test_what_left_the_plan_goes(platform):
    platform.run(platform.plan(stores={"objects": [CONFIG, OTHER]}, operators={"releases": [RELEASE]}))
    assert changed(platform.run(platform.plan(stores={"objects": [OTHER]}))) == [("ConfigMap app/c", "deleted"), ("Release app/r", "deleted")]
    assert platform.cluster.find("ConfigMap", "c", "app") is None and platform.cluster.find("Deployment", "helmed", "app") is None
    assert platform.members() == {"Namespace app", "ConfigMap app/d"}
    assert not platform.run(platform.plan(stores={"objects": [OTHER]})).changed


def test_what_left_the_plan_after_a_killed_run_goes(platform):
    platform.cluster.after = lambda obj: None
    with pytest.raises(WaitError):
        platform.run(platform.plan(stores={"objects": [CONFIG]}, applications={"objects": [WEB]}))
    platform.run(platform.plan(stores={"objects": [OTHER]}))
    assert platform.cluster.find("ConfigMap", "c", "app") is None and platform.cluster.find("Deployment", "web", "app") is None


def test_objects_go_before_the_operator_that_frees_them(platform):
    held = manifest("ConfigMap", "c", "app", metadata={"finalizers": ["example.org/operator"]})
    platform.run(platform.plan(operators={"releases": [RELEASE]}, stores={"objects": [held]}))

    def operator(_now):
        found = platform.cluster.find("ConfigMap", "c", "app")
        if found and found["metadata"].get("deletionTimestamp") and platform.cluster.find("Deployment", "helmed", "app"):
            del platform.cluster.objects["ConfigMap", "app", "c"]

    platform.clock.tick = operator
    platform.run(platform.plan())
    assert platform.cluster.find("ConfigMap", "c", "app") is None


def test_new_version_of_an_api_deletes_nothing(platform):
    old = manifest("HorizontalPodAutoscaler", "web", "app", "autoscaling/v1", spec={"max": 1})
    platform.run(platform.plan(applications={"objects": [old]}))
    platform.run(platform.plan(applications={"objects": [{**old, "apiVersion": "autoscaling/v2"}]}))
    assert platform.cluster.find("HorizontalPodAutoscaler", "web", "app")


def test_object_that_moves_to_another_component_stays(platform):
    platform.run(platform.plan("one", stores={"objects": [CONFIG], "releases": [RELEASE]}), platform.plan("two"))
    report = platform.run(platform.plan("one"), platform.plan("two", stores={"objects": [CONFIG], "releases": [RELEASE]}))
    assert not [outcome for outcome in report.outcomes if outcome.action == "deleted"]
    assert platform.cluster.find("ConfigMap", "c", "app") and platform.cluster.find("Deployment", "helmed", "app")
    assert "ConfigMap app/c" in platform.members("two") and "ConfigMap app/c" not in platform.members("one")


def test_data_that_left_the_plan_stays_and_is_known_to_a_later_purge(platform):
    platform.run(platform.plan(secrets=[PASSWORD], stores={"objects": [CLAIM, CONFIG]}))
    for _run in range(2):
        platform.run(platform.plan(stores={"objects": [CONFIG]}))
        assert platform.cluster.find("PersistentVolumeClaim", "data", "app") and platform.cluster.find("Secret", "db", "app")
    platform.remove("mlflow", purge=True)
    assert platform.cluster.find("PersistentVolumeClaim", "data", "app") is None
    assert platform.cluster.find("Secret", "db", "app") is None


def test_kept_object_that_was_removed_by_hand_is_forgotten(platform):
    platform.run(platform.plan(stores={"objects": [CLAIM]}))
    platform.run(platform.plan())
    platform.cluster.delete(CLAIM)
    platform.run(platform.plan())
    assert platform.members() == {"Namespace app"}


def test_namespace_that_left_the_plan_goes_with_a_purge(platform):
    platform.run(platform.plan(secrets=[{"name": "far", "namespace": "elsewhere"}]))
    platform.run(platform.plan())
    assert platform.cluster.find("Namespace", "elsewhere")
    platform.remove("mlflow", purge=True)
    assert platform.cluster.find("Namespace", "elsewhere") is None


# What each of two components consists of: any of three ConfigMaps, which may move from one to the other; and a release.
shape = st.tuples(st.frozensets(st.sampled_from("abc")), st.booleans())


@given(st.lists(st.tuples(shape, shape, st.none() | st.integers(1, 12)), max_size=4), shape, shape)
def test_any_history_of_plans_and_kills_ends_as_planned(history, one, two):
    cluster = FakeCluster()
    platform = Platform(cluster, FakeHelm(cluster), [])

    def run(first, second, kill=None):
        left = [kill]

        def before(verb, obj):
            if left[0] is not None and verb in ("apply", "create", "replace", "patch", "delete"):
                left[0] -= 1
                if left[0] == 0:
                    raise KeyboardInterrupt

        cluster.before = before
        wanted = [
            platform.plan(name, "app", stores={
                "objects": [manifest("ConfigMap", entry, "app", data={"of": name}) for entry in sorted(entries)],
                "releases": [{"name": f"r-{name}", "values": {"name": f"helmed-{name}"}}] if release else []})
            for name, (entries, release) in (("one", first), ("two", second))
        ]
        try:
            return platform.run(*wanted)
        except KeyboardInterrupt:
            return None

    for first, second, kill in history:
        run(first, second, kill)
    run(one, two)
    assert {key[2] for key in cluster.objects if key[0] == "ConfigMap" and key[1] == "app"} == one[0] | two[0]
    releases = {obj["metadata"]["labels"]["name"] for obj in cluster.objects.values() if obj.get("type") == "helm.sh/release.v1"}
    assert releases == {name for name, (_entries, wanted) in (("r-one", one), ("r-two", two)) if wanted}
    if not one[0] & two[0]:
        assert not run(one, two).changed
    platform.remove("one", "two", purge=True)
    assert not [key for key in cluster.objects if key[1] == "app" or key[2] == "app"]


# -- absent ---------------------------------------------------------------------------------------------------------


def test_remove_keeps_data(platform):
    platform.run(platform.plan(secrets=[PASSWORD], **FULL))
    report = platform.remove("mlflow")
    assert changed(report) == [("ConfigMap app/c", "deleted"), ("Deployment app/web", "deleted"), ("Release app/r", "deleted"),
                               ("Widget app/w", "deleted")]
    for kind, name, space in [("PersistentVolumeClaim", "data", "app"), ("Secret", "db", "app"), ("Namespace", "app", ""),
                              ("CustomResourceDefinition", "widgets.example.org", "")]:
        assert platform.cluster.find(kind, name, space)
    assert "PersistentVolumeClaim app/data" in platform.members()
    assert not platform.remove("mlflow").changed


def test_a_claim_goes_after_the_release_that_uses_it(platform, cluster):
    platform.run(platform.plan(stores={"objects": [CLAIM], "releases": [RELEASE]}))
    order = []
    remove, delete = platform.helm, cluster.delete

    class Helm:
        def __call__(self, module, args):
            order.append("release")
            return remove(module, args)

    def noted(ref, *args, **options):
        order.append(ref["kind"])
        return delete(ref, *args, **options)

    platform.helm, cluster.delete = Helm(), noted
    platform.remove("mlflow", purge=True)
    assert order.index("release") < order.index("PersistentVolumeClaim")


def test_what_stays_is_put_to_rest(platform, cluster):
    """An object that keeps data says how it sleeps while its component is away."""
    rest = '{"metadata": {"annotations": {"asleep": "on"}}}'
    notes = {"openmlops.io/keep": "true", "openmlops.io/when-removed": rest, "asleep": "off"}
    database = manifest("ConfigMap", "database", "app", data={"a": "1"}, metadata={"annotations": notes})
    platform.run(platform.plan(stores={"objects": [database]}))
    report = platform.remove("mlflow")
    assert report.changed and cluster.find("ConfigMap", "database", "app")["metadata"]["annotations"]["asleep"] == "on"
    platform.run(platform.plan(stores={"objects": [database]}))
    assert cluster.find("ConfigMap", "database", "app")["metadata"]["annotations"]["asleep"] == "off"


def test_purge_after_a_removal_leaves_nothing(platform):
    before = set(platform.cluster.objects)
    platform.run(platform.plan(secrets=[PASSWORD], **FULL))
    platform.remove("mlflow")
    platform.remove("mlflow", purge=True)
    assert set(platform.cluster.objects) == before


BORN = [{"api_version": "v1", "kind": "Pod", "namespace": "app", "selector": {"by": "hub"}},
        {"api_version": "v1", "kind": "PersistentVolumeClaim", "namespace": "app", "selector": {"by": "hub"}, "data": True}]


def test_what_its_programs_made_goes_with_the_component_and_data_with_a_purge(platform):
    cluster = platform.cluster
    platform.run(platform.plan(offspring=BORN, **FULL))
    for kind in ("Pod", "PersistentVolumeClaim"):
        for name, labels in (("ada", {"by": "hub"}), ("other", {"by": "somebody"})):
            born = manifest(kind, name, "app")
            born["metadata"]["labels"] = labels
            cluster.create(born)
    assert platform.remove("mlflow", check=True).changed and cluster.find("Pod", "ada", "app")
    platform.remove("mlflow")
    assert cluster.find("Pod", "ada", "app") is None and cluster.find("Pod", "other", "app")
    assert cluster.find("PersistentVolumeClaim", "ada", "app")
    platform.remove("mlflow", purge=True)
    assert cluster.find("PersistentVolumeClaim", "ada", "app") is None


def test_what_users_made_goes_before_its_definition(platform):
    """And nobody minds that there is no such kind any more."""
    cluster = platform.cluster
    platform.run(platform.plan(offspring=[{"api_version": "example.org/v1", "kind": "Widget", "namespace": "app"}],
                               definitions={"definitions": ["widgets"]}, routes={"objects": [manifest("Widget", "own", "app")]}))
    cluster.create(manifest("Widget", "ada", "app"))
    told = [outcome.ref.name for outcome in platform.remove("mlflow", purge=True, check=True).outcomes if outcome.ref.kind == "Widget"]
    assert sorted(told) == ["ada", "own"]  # each once
    order = []
    cluster.before = lambda verb, obj: order.append(obj["kind"]) if verb == "delete" else None
    platform.remove("mlflow", purge=True)
    assert order.index("Widget") < order.index("CustomResourceDefinition")
    assert cluster.find("Widget", "ada", "app") is None


LED = {"api_version": "example.org/v1", "kind": "Widget", "namespace": "app", "data": True, "finalizer": "example.org/f"}


def test_what_an_operator_must_let_go_of_goes_while_it_is_there_and_only_on_a_purge(platform):
    cluster = platform.cluster
    chart = {"releases": [{"name": "operator", "values": {}}]}
    platform.run(platform.plan(offspring=[LED], definitions={"definitions": ["widgets"]}, operators=chart))
    cluster.create(manifest("Widget", "ada", "app"))
    order = []
    cluster.before = lambda verb, obj: order.append(obj["kind"]) if verb == "delete" else None
    platform.remove("mlflow", purge=True)
    assert order.index("Widget") < order.index("CustomResourceDefinition") and cluster.find("Widget", "ada", "app") is None


def test_a_finalizer_whose_operator_is_gone_is_taken_off_on_a_purge(platform):
    cluster = platform.cluster
    platform.run(platform.plan(offspring=[LED], definitions={"definitions": ["widgets"]}))
    widget = manifest("Widget", "ada", "app")
    widget["metadata"]["finalizers"] = ["example.org/f"]
    cluster.create(widget)
    platform.remove("mlflow")
    assert cluster.find("Widget", "ada", "app")["metadata"]["finalizers"] == ["example.org/f"]
    platform.remove("mlflow", purge=True)
    assert cluster.find("Widget", "ada", "app") is None


def test_offspring_by_a_label_of_any_value(platform):
    cluster = platform.cluster
    platform.run(platform.plan(offspring=[{**BORN[0], "selector": {"by": None}}], **FULL))
    for name, labels in (("ada", {"by": "hub"}), ("bob", {"by": "x"}), ("other", {"a": "b"})):
        born = manifest("Pod", name, "app")
        born["metadata"]["labels"] = labels
        cluster.create(born)
    platform.remove("mlflow")
    assert [cluster.find("Pod", name, "app") is None for name in ("ada", "bob", "other")] == [True, True, False]


def test_a_release_with_definitions_of_users_things_goes_on_a_purge_only(platform):
    chart = {"releases": [{"name": "definitions", "values": {}, "data": True}, {"name": "operator", "values": {}}]}

    def there():
        return {name for name in ("definitions", "operator") if platform.engine(False)._releases.workloads(name, "app")}

    platform.run(platform.plan(operators=chart))
    assert there() == {"definitions", "operator"}
    # Neither does it go when it leaves the plan.
    platform.run(platform.plan(operators={"releases": chart["releases"][1:]}))
    assert there() == {"definitions", "operator"}
    platform.remove("mlflow")
    assert there() == {"definitions"} and record.read(platform.cluster, "openmlops", "mlflow").about["removed"]
    platform.remove("mlflow", purge=True)
    assert there() == set() and record.read(platform.cluster, "openmlops", "mlflow") is None


def test_a_certificate_of_a_secret_stands_in_an_object(platform):
    platform.run(platform.plan())

    def run(content, check=False):
        if content is not None:
            platform.cluster.apply(manifest("Secret", "ca", "app", data={"tls.crt": base64.b64encode(content).decode()}))
        hook = manifest("ConfigMap", "hook", "app", data={"caBundle": "<certificate app/ca/tls.crt>", "other": "<certificate"})
        return platform.run(platform.plan(operators={"objects": [hook]}), check=check)

    assert run(None, check=True).changed
    pem = b"-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n"
    run(pem)
    assert platform.cluster.find("ConfigMap", "hook", "app")["data"] == {
        "caBundle": base64.b64encode(pem).decode(), "other": "<certificate"}
    assert not run(pem).changed
    for wrong in (b"password", pem + b"-----BEGIN PRIVATE KEY-----"):
        with pytest.raises(plans.PlanError, match="app/ca has no certificate in tls.crt"):
            run(wrong)


@pytest.mark.parametrize("wrong", [{"kind": "Pod"}, {"kind": "Pod", "api_version": "v1"}, BORN[0] | {"name": "x"}])
def test_offspring_that_is_not_well_described_is_refused(platform, wrong):
    with pytest.raises(plans.PlanError, match="mlflow: each of the offspring needs"):
        platform.plan(offspring=[wrong])


def test_purge_leaves_nothing(platform):
    before = set(platform.cluster.objects)
    platform.run(platform.plan(secrets=[PASSWORD], **FULL))
    platform.remove("mlflow", purge=True)
    assert set(platform.cluster.objects) == before


def test_installed_again_after_a_removal(platform):
    wanted = platform.plan(secrets=[PASSWORD], **FULL)
    platform.run(wanted)
    platform.remove("mlflow")
    assert platform.run(wanted).changed
    assert not record.read_all(platform.cluster, "openmlops")["mlflow"].about.get("removed")


def test_kept_by_a_note(platform):
    kept = {**CONFIG, "metadata": {**CONFIG["metadata"], "annotations": {"openmlops.io/keep": "true"}}}
    platform.run(platform.plan(stores={"objects": [kept]}))
    platform.remove("mlflow")
    assert platform.cluster.find("ConfigMap", "c", "app")
    platform.remove("mlflow", purge=True)
    assert platform.cluster.find("ConfigMap", "c", "app") is None


def test_unknown_component_is_nothing_to_do(platform):
    assert not platform.remove("none", purge=True).changed


def test_shared_namespace_goes_with_the_last_component(platform):
    platform.run(platform.plan("one"), platform.plan("two"))
    platform.remove("one", purge=True)
    assert platform.cluster.find("Namespace", "app")
    platform.run(platform.plan("one"))
    platform.remove("one", "two", purge=True)
    assert platform.cluster.find("Namespace", "app") is None


@pytest.mark.parametrize("labels", [{}, {"app.kubernetes.io/managed-by": "Helm"}])
def test_namespace_of_somebody_else_is_used_and_left_alone(platform, labels):
    platform.cluster.put(manifest("Namespace", "app", metadata={"labels": labels}))
    platform.cluster.put(manifest("Secret", "precious", "app"))
    before = platform.cluster.find("Namespace", "app")
    wanted = platform.plan(secrets=[PASSWORD], stores={"objects": [CONFIG]})
    platform.run(wanted)
    assert not platform.run(wanted).changed
    platform.remove("mlflow", purge=True)
    assert platform.cluster.find("Namespace", "app") == before
    assert platform.cluster.find("Secret", "precious", "app") and platform.cluster.find("Secret", "db", "app") is None


def test_platforms_own_namespace_outlives_its_components(platform):
    platform.run(platform.plan(namespace="openmlops"))
    platform.remove("mlflow", purge=True)
    assert platform.cluster.find("Namespace", "openmlops")


def test_finalizer_that_nobody_removes(platform):
    platform.run(platform.plan(stores={"objects": [{**CONFIG, "metadata": {**CONFIG["metadata"], "finalizers": ["x/y"]}}]}))
    with pytest.raises(TimeoutError, match="ConfigMap app/c.*finalizer"):
        platform.remove("mlflow")
    assert "ConfigMap app/c" in platform.members()


def test_kind_that_is_gone_already(platform):
    platform.run(platform.plan(**FULL))
    platform.cluster.delete(manifest("CustomResourceDefinition", "widgets.example.org"))
    platform.remove("mlflow", purge=True)
    assert platform.members() is None


# -- check mode -----------------------------------------------------------------------------------------------------


def test_check_mode_on_an_empty_cluster(platform):
    before = dict(platform.cluster.objects)
    report = platform.run(platform.plan(secrets=[PASSWORD], **FULL), check=True)
    assert ("Widget app/w", "created") in changed(report) and ("Release app/r", "created") in changed(report)
    assert len(changed(report)) == 9
    assert not platform.cluster.writes() and not platform.helm.calls and platform.cluster.objects == before
    assert all("check mode" in line for line in platform.told)


def test_check_mode_on_a_converged_cluster(platform):
    wanted = platform.plan(secrets=[PASSWORD], **FULL)
    platform.run(wanted)
    assert not platform.run(wanted, check=True).changed
    assert not platform.cluster.writes()


def test_check_mode_tells_what_would_go(platform):
    wanted = platform.plan(secrets=[PASSWORD], **FULL)
    platform.run(wanted)
    assert ("ConfigMap app/c", "deleted") in changed(platform.run(platform.plan(), check=True))
    assert not platform.cluster.writes()
    for options in ({}, {"purge": True}):
        planned = changed(platform.remove("mlflow", check=True, **options))
        assert not platform.cluster.writes() and ("Release app/r", "deleted") in planned
        assert (("PersistentVolumeClaim app/data", "deleted") in planned) is bool(options)
    assert changed(platform.remove("mlflow", purge=True)) == planned


def test_check_mode_of_a_namespace_to_come(platform):
    del platform.cluster.objects["Namespace", "", "openmlops"]
    assert ("Namespace openmlops", "created") in changed(platform.run(platform.plan(**FULL), check=True))


# -- status ---------------------------------------------------------------------------------------------------------


def test_what_is_not_ready(platform):
    platform.run(platform.plan(**FULL))
    waiter, releases = Waiter(platform.cluster, platform.told.append, 0.0), Releases(platform.cluster, platform.helm, platform.told.append)
    known = record.read_all(platform.cluster, "openmlops")["mlflow"]
    assert not_ready(waiter, releases, known) == []
    platform.cluster.delete(WEB)
    assert not_ready(waiter, releases, known) == ["Deployment app/web: does not exist yet"]
    releases.remove("r", "app")
    assert "release app/r is not installed" in not_ready(waiter, releases, known)


def test_run_that_lost_the_cluster_stops_before_the_next_phase(platform):
    calls = []

    def guard():
        calls.append(1)
        if len(calls) > 4:
            raise ZeroDivisionError

    engine = platform.engine()
    engine._guard = guard
    with pytest.raises(ZeroDivisionError):
        engine.converge([platform.plan(stores={"objects": [OTHER]}, applications={"objects": [CONFIG]})])
    assert platform.cluster.find("ConfigMap", "d", "app") and platform.cluster.find("ConfigMap", "c", "app") is None
