"""The manifests of deploy/kuberay: only fields that Kubernetes and KubeRay 1.7 know, and what the jobs need of them."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from jobs import submit
from jobs.run.session import AUDIO_RESOURCE
from jobs.run.submission import Submission
from jobs.transcribe import build_parser

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "kuberay"
LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"

TEXT, COUNT, FLAG = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}


def record(required: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    """A mapping with these fields and no others."""
    return {"type": "object", "properties": fields, "required": list(required), "additionalProperties": False}


def several(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1}


TEXTS = {"type": "object", "additionalProperties": TEXT}
SECRET = record(("name",), name=TEXT, key=TEXT)
VARIABLE = record(("name",), name=TEXT, value=TEXT, valueFrom=record(secretKeyRef=SECRET))
CONTAINER = record(
    ("name", "image", "resources"),
    name=TEXT,
    image=TEXT,
    workingDir=TEXT,
    command=several(TEXT),
    args=several(TEXT),
    env=several(VARIABLE),
    envFrom=several(record(secretRef=SECRET)),
    resources=record(("requests", "limits"), requests=TEXTS, limits=TEXTS),
)
TOLERATION = record(key=TEXT, operator={"enum": ["Exists", "Equal"]}, effect=TEXT, value=TEXT)
POD = record(
    ("containers",),
    containers=several(CONTAINER),
    tolerations=several(TOLERATION),
    restartPolicy={"enum": ["Never", "OnFailure"]},
)
TEMPLATE = record(("spec",), spec=POD)
GROUP = record(
    ("groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"),
    groupName=TEXT,
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    rayStartParams=TEXTS,
    template=TEMPLATE,
)
RAY_CLUSTER = record(
    ("rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"),
    rayVersion=TEXT,
    authOptions=record(("mode",), mode={"enum": ["disabled", "token"]}, secretName=TEXT),
    enableInTreeAutoscaling=FLAG,
    autoscalerOptions=record(
        version={"enum": ["v1", "v2"]},
        upscalingMode={"enum": ["Default", "Conservative", "Aggressive"]},
        idleTimeoutSeconds=COUNT,
    ),
    headGroupSpec=record(("rayStartParams", "template"), rayStartParams=TEXTS, template=TEMPLATE),
    workerGroupSpecs=several(GROUP),
)
RAY_JOB = record(
    ("entrypoint", "rayClusterSpec", "shutdownAfterJobFinishes"),
    entrypoint=TEXT,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "SidecarMode"]},
    backoffLimit=COUNT,
    activeDeadlineSeconds=COUNT,
    shutdownAfterJobFinishes=FLAG,
    ttlSecondsAfterFinished=COUNT,
    runtimeEnvYAML=TEXT,
    rayClusterSpec=RAY_CLUSTER,
)
KUBERNETES_JOB = record(
    ("template",), backoffLimit=COUNT, activeDeadlineSeconds=COUNT, ttlSecondsAfterFinished=COUNT, template=TEMPLATE
)
SPECS = {
    ("ray.io/v1", "RayJob"): RAY_JOB,
    ("ray.io/v1", "RayCronJob"): record(
        ("schedule", "jobTemplate"), schedule=TEXT, timeZone=TEXT, suspend=FLAG, jobTemplate=RAY_JOB
    ),
    ("batch/v1", "CronJob"): record(
        ("schedule", "jobTemplate"),
        schedule=TEXT,
        timeZone=TEXT,
        concurrencyPolicy={"enum": ["Allow", "Forbid", "Replace"]},
        startingDeadlineSeconds=COUNT,
        successfulJobsHistoryLimit=COUNT,
        failedJobsHistoryLimit=COUNT,
        jobTemplate=record(("spec",), spec=KUBERNETES_JOB),
    ),
}
CRON = re.compile(r"^([0-9*/,-]+ ){4}[0-9*/,-]+$")


def manifest(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return content


def build_submission(arguments: list[str]) -> Submission:
    """What jobs.submit makes of the container's arguments."""
    return submit.read_submission(submit.build_parser().parse_args(arguments))


def check(content: dict[str, Any]) -> None:
    """Raise ValidationError for anything that Kubernetes would refuse or, worse, ignore."""
    spec = SPECS[content["apiVersion"], content["kind"]]
    whole = record(
        ("apiVersion", "kind", "metadata", "spec"), apiVersion=TEXT, kind=TEXT, metadata=record(name=TEXT), spec=spec
    )
    jsonschema.validate(content, whole)


@pytest.mark.parametrize("name", ["rayjob", "raycronjob", "cronjob"])
def test_only_known_fields(name: str) -> None:
    content = manifest(name)
    check(content)
    assert CRON.match(content["spec"].get("schedule", "0 2 * * *"))


def test_an_unknown_field_is_refused() -> None:
    content = manifest("rayjob")
    content["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["maxReplica"] = 3
    with pytest.raises(jsonschema.ValidationError, match="maxReplica"):
        check(content)


@pytest.mark.parametrize("name", ["rayjob", "raycronjob"])
def test_clusters_have_the_groups_that_the_jobs_are_written_for(name: str) -> None:
    spec = manifest(name)["spec"]
    job = spec.get("jobTemplate", spec)
    cluster = job["rayClusterSpec"]
    assert f"ray=={cluster['rayVersion']}" in LOCK.read_text().split()
    assert cluster["authOptions"]["mode"] == "token"
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    started = groups["gpu-encoder"]["rayStartParams"]
    assert (started["num-cpus"], started["num-gpus"]) == ("0", "1")
    for group in groups.values():  # cores that decode audio come on top of CPUs, so together they are the pod's
        start = group["rayStartParams"]
        (written,) = shlex.split(start["resources"])  # as the shell hands it to `ray start`
        audio = json.loads(written)[AUDIO_RESOURCE]
        (container,) = group["template"]["spec"]["containers"]
        own = int(start.get("num-gpus", "0"))  # a core for each encoder
        assert audio + int(start["num-cpus"]) + own == int(container["resources"]["limits"]["cpu"])
    assert all(group["minReplicas"] <= group["replicas"] <= group["maxReplicas"] for group in groups.values())
    assert "nvidia.com/gpu" not in str(groups["cpu-decoder"])
    program, _, module, *arguments = shlex.split(job["entrypoint"])
    assert (program, module) == ("python", "jobs.transcribe")
    assert build_parser().parse_args(arguments).gpus_per_encoder == 1


def test_the_plain_cron_job_calls_a_job_that_exists() -> None:
    container = manifest("cronjob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["python", "-m", "jobs.submit"]
    assert build_submission(container["args"]).entrypoint.startswith("python -m jobs.reprocess --run s3://")
    assert {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} == {variable["name"] for variable in container["env"]}
