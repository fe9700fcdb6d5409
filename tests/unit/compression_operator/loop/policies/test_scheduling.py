"""The state of the pod, with the messages of scheduler and kubelet."""

import pytest

from compression_operator.loop.reconcile import reconcile
from compression_operator.records.annotations import STORES_ANNOTATION
from compression_operator.records.pod import PodRecord
from tests.support.operator.builders import (
    NOW,
    after,
    child,
    condition_of,
    ended_pod,
    job,
    observe,
    pod,
    progress,
    running_pod,
    settle,
    stamp,
)

NO_GPU = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
NO_ROOM = (
    f"{NO_GPU[:-1]}; wait for room, or submit the job again with another spec.runtime than 'cpu' (kubectl get cprt)"
)
MISSING_SECRET = 'secret "s3" not found'
NO_CLAIM = 'persistentvolumeclaim "models" not found.'
AGAIN = "kubectl -n default delete job minilm-int8-0a1b2c3d"


@pytest.mark.parametrize(
    ("seen", "status", "reason", "message"),
    [
        (pod(conditions=(("PodScheduled", "False", "Unschedulable", NO_GPU),)), "False", "Unschedulable", NO_ROOM),
        (pod(conditions=()), "False", "WaitingForPod", "the pod pod-a waits for the scheduler"),
        (pod(), "True", "PodScheduled", "a node was found"),
        (pod(state={"waiting": {"reason": "ContainerCreating"}}), "True", "PodScheduled", "a node was found"),
        (
            pod(state={"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x"'}}),
            "True", "ImagePullFailed",
            'Back-off pulling image "x"; the kubelet tries again; if the image is wrong: kubectl edit cprt cpu; then '
            f"{AGAIN}",
        ),
        (
            pod(state={"waiting": {"reason": "CreateContainerConfigError", "message": MISSING_SECRET}}),
            "True", "ContainerConfigError",
            f"{MISSING_SECRET}; create it (spec.storage.secretName): kubectl -n default create secret generic s3 "
            "--from-literal=AWS_ACCESS_KEY_ID=VALUE --from-literal=AWS_SECRET_ACCESS_KEY=VALUE",
        ),
    ],
)  # fmt: skip
def test_pending_pod_states_its_reason(seen: PodRecord, status: str, reason: str, message: str) -> None:
    record, plan = settle(observe(child=child(active=1), pods=(seen,)))
    scheduled = condition_of(plan, "Scheduled")
    assert (scheduled["status"], scheduled["reason"], scheduled["message"]) == (status, reason, message)
    assert plan.status is not None
    assert (record.phase, record.reason, plan.status["reason"]) == ("Pending", reason, reason)
    assert reconcile(observe(record, child=child(active=1), pods=(seen,)), NOW).empty


@pytest.mark.parametrize(
    ("waiting", "message", "remedy"),
    [
        (
            "CreateContainerConfigError", "couldn't find key AWS_ACCESS_KEY_ID in Secret default/s3",
            """-n default patch secret s3 --type=merge --patch='{"stringData":{"AWS_ACCESS_KEY_ID":"VALUE"}}'""",
        ),
        (
            "CreateContainerConfigError", 'secret "hub" not found',
            "(spec.hub.secretName): kubectl -n default create secret generic hub --from-literal=HF_TOKEN=VALUE",
        ),
        ("RunContainerError", "exec: no such file", "see: kubectl -n default describe pod pod-a"),
        ("ErrImagePull", 'failed to resolve "a/b": a/b: not found', "correct spec.image: kubectl edit cprt cpu; then "),
        ("InvalidImageName", "invalid reference format", "correct spec.image: kubectl edit cprt cpu; then "),
        ("ErrImagePull", "pull access denied, repository does not exist", "name a pull secret of namespace default"),
        ("ErrImageNeverPull", "", "load the image on the node, or change spec.imagePullPolicy"),
    ],
)  # fmt: skip
def test_failed_start_shows_the_command_to_fix_it(waiting: str, message: str, remedy: str) -> None:
    stuck = pod(state={"waiting": {"reason": waiting, "message": message}})
    _, plan = settle(observe(job(spec__hub={"secretName": "hub"}), child=child(active=1), pods=(stuck,)))
    shown = condition_of(plan, "Scheduled")["message"]
    assert shown.startswith(message or waiting)
    assert remedy in shown
    assert plan.status is not None
    assert shown in plan.status["message"]
    assert [shown in note.text for note in plan.events if note.reason == "Waiting"] == [True]


def test_a_missing_secret_of_a_store_is_named_with_the_store() -> None:
    stores = '[{"name":"team-a","secretName":"keys","hubSecretName":"token"}]'
    held = child(active=1, annotations={STORES_ANNOTATION: stores})
    for secret, field, key in (("keys", "secretName", "AWS_ACCESS_KEY_ID"), ("token", "hub.secretName", "HF_TOKEN")):
        stuck = pod(
            state={"waiting": {"reason": "CreateContainerConfigError", "message": f'secret "{secret}" not found'}}
        )
        record = job(spec__storage={"store": "team-a"}, spec__hub={"store": "team-a"})
        _, plan = settle(observe(record, child=held, pods=(stuck,)))
        shown = condition_of(plan, "Scheduled")["message"]
        assert f"create it ({field} of the CompressionStore team-a): kubectl -n default create secret generic" in shown
        assert f"--from-literal={key}=VALUE" in shown


def test_pull_failure_keeps_its_cause_during_backoff() -> None:
    cause = pod(state={"waiting": {"reason": "ErrImagePull", "message": "a/b:c: not found"}})
    record, _ = settle(observe(child=child(active=1), pods=(cause,)))
    waits = pod(state={"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "a/b:c"'}})
    assert reconcile(observe(record, child=child(active=1), pods=(waits,)), NOW).empty


def test_missing_claim_shows_the_command_to_list_claims() -> None:
    stuck = pod(conditions=(("PodScheduled", "False", "Unschedulable", NO_CLAIM),))
    _, plan = settle(observe(child=child(active=1), pods=(stuck,)))
    shown = condition_of(plan, "Scheduled")["message"]
    assert shown == f"{NO_CLAIM[:-1]}; create the claim models, or use an existing one (kubectl -n default get pvc)"


@pytest.mark.parametrize(
    "tail",
    [
        " no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful.",
        " preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
    ],
)
def test_preemption_text_of_the_scheduler_is_removed(tail: str) -> None:
    stuck = pod(conditions=(("PodScheduled", "False", "Unschedulable", NO_GPU + tail),))
    _, plan = settle(observe(child=child(active=1), pods=(stuck,)))
    assert condition_of(plan, "Scheduled")["message"] == NO_ROOM
    assert len(NO_ROOM) <= 200


def test_running_pod_sets_phase_running() -> None:
    record, plan = settle(observe(child=child(active=1), pods=(running_pod(),)))
    assert plan.status is not None
    assert (record.phase, plan.status["startTime"]) == ("Running", stamp())
    assert "Running" in [note.reason for note in plan.events]


def test_progress_never_decreases() -> None:
    record, plan = settle(observe(child=child(active=1), pods=(running_pod(),), progress=progress("quantize", 0.42)))
    assert plan.status is not None
    assert (plan.status["stage"], plan.status["progress"]) == ("quantize", 42)
    record, plan = settle(
        observe(record, child=child(active=1), pods=(running_pod("b"),), progress=progress("prune", 0.1))
    )
    assert plan.status is not None
    assert (plan.status["stage"], plan.status["progress"]) == ("prune", 42)
    assert record.phase == "Running"


def test_a_running_job_whose_next_pod_waits_is_pending_again_and_keeps_its_progress() -> None:
    record, _ = settle(observe(child=child(active=1), pods=(running_pod(),), progress=progress("prune", 0.4)))
    assert (record.status().stage, record.status().progress) == ("prune", 40)
    drained = pod("pod-a", phase="Failed", conditions=(("DisruptionTarget", "True", "EvictionByEvictionAPI", "drain"),))
    waiting = pod("pod-b", conditions=(("PodScheduled", "False", "Unschedulable", NO_GPU),), created=5)
    record, plan = settle(observe(record, child=child(active=1), pods=(drained, waiting)))
    assert (record.phase, record.reason) == ("Pending", "Unschedulable")
    assert (record.status().stage, record.status().progress) == ("", 40)
    assert [note.reason for note in plan.events] == ["Waiting", "Interrupted"]
    assert plan.status is not None
    assert plan.status["retries"] == 0


def test_a_job_whose_pod_has_done_its_work_is_not_pending_until_its_job_is_complete() -> None:
    record, _ = settle(observe(child=child(active=1), pods=(running_pod(),), progress=progress("publish", 0.9)))
    _, plan = settle(observe(record, child=child(active=1), pods=(ended_pod(),)))
    assert (plan.status or {"phase": "Running"})["phase"] == "Running"


def test_missing_pod_shows_the_command_to_check() -> None:
    record, plan = settle(observe(child=child()))
    assert plan.requeue_after == 31
    _, plan = settle(observe(record, child=child()), after(31))
    assert "kubectl -n default describe job" in condition_of(plan, "Scheduled")["message"]


def test_a_condition_keeps_its_transition_time_while_its_status_stays() -> None:
    record, _ = settle(observe(child=child()))
    _, plan = settle(observe(record, child=child()), after(31))
    assert condition_of(plan, "Scheduled")["lastTransitionTime"] == stamp()
