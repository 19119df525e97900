"""Workers according to TF_CONFIG, and their communication."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from kft.errors import ConfigError, KftError, LostWorkerError
from kft.workers import ALONE, Cluster, Workers, read_cluster


def config(cluster: object, task: object) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


@pytest.mark.parametrize(
    ("cluster", "task", "expected"),
    [
        ({"worker": ["a:1", "b:1"]}, {"type": "worker", "index": 1}, Cluster(("a:1", "b:1"), 1)),
        (
            {"chief": ["c:1"], "worker": ["a:1", "b:1"]},
            {"type": "worker", "index": 1},
            Cluster(("c:1", "a:1", "b:1"), 2, has_chief_task=True),
        ),
        (
            {"chief": ["c:1"], "worker": ["a:1"]},
            {"type": "chief", "index": 0},
            Cluster(("c:1", "a:1"), 0, has_chief_task=True),
        ),
        ({"worker": ["a:1"]}, {"type": "worker", "index": 0}, None),
        ({}, {}, None),
    ],
)
def test_a_cluster_is_read_with_the_chief_first(cluster, task, expected):
    found = read_cluster(config(cluster, task))
    assert found == expected
    assert found is None or found.is_chief == (found.number == 0)


@pytest.mark.parametrize("environ", [{}, {"TF_CONFIG": ""}, {"TF_CONFIG": "  "}])
def test_without_a_useful_tf_config_there_is_no_cluster(environ):
    assert read_cluster(environ) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"TF_CONFIG: found '\{'; expected \{\"cluster\""),
        ("[]", "expected"),
        ('{"cluster": {"worker": "a:1"}}', "expected"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"index": "x"}}', "expected"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}}', "expected"),
        (
            '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"index": 0}}',
            "found task 'ps'; kft supports the tasks",
        ),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "evaluator", "index": 0}}',
            "found task 'evaluator'",
        ),
        (
            '{"cluster": {"chief": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}',
            "found 2 chiefs",
        ),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
            "this process is worker 2, but the cluster has 2 of this type, counted from 0",
        ),
    ],
)
def test_an_invalid_tf_config_is_refused_with_the_reason(text, message):
    with pytest.raises(ConfigError, match=message):
        read_cluster({"TF_CONFIG": text})


def test_a_single_process_needs_no_communication():
    values = np.array([1.5, 2.5], np.float32)
    assert ALONE.is_chief
    assert ALONE.sum(values) is values
    assert ALONE.copy(values) is values
    assert ALONE.gather(values).tolist() == [[1.5, 2.5]]
    assert ALONE.broadcast_from_chief(lambda: {"a": [1]}) == {"a": [1]}
    ALONE.wait()
    with pytest.raises(RuntimeError), ALONE.report_lost_workers("go on"):
        raise RuntimeError


def test_workers_receive_the_chiefs_result(make_team):
    team = make_team(3)
    found = team(
        lambda workers: workers.broadcast_from_chief(lambda: {"by": workers.number, "ä": [None]})
    )
    assert found == [{"by": 0, "ä": [None]}] * 3
    numbers = team(lambda workers: workers.gather(np.array([workers.number, 7], np.int64)).tolist())
    assert numbers == [[[0, 7], [1, 7], [2, 7]]] * 3
    drawn = [np.random.default_rng(i).normal(size=(2, 2)).astype(np.float32) for i in range(3)]
    copies = team(lambda workers: workers.copy(drawn[workers.number]).tolist())
    assert copies == [drawn[0].tolist()] * 3


def test_the_chiefs_error_is_raised_on_every_worker(make_team):
    def fail():
        raise ConfigError("no room")

    def ask(workers):
        with pytest.raises(KftError) as caught:
            workers.broadcast_from_chief(fail)
        return str(caught.value), caught.value.exit_code

    assert make_team(2)(ask) == [("no room", 2), ("worker 0, the chief: no room", 2)]


def test_a_lost_worker_is_named_with_advice():
    workers = Workers(Cluster(("a:1", "b:1", "c:1"), 0))
    message = "Collective ops is aborted by: unhealthy:\n/job:worker/replica:0/task:2\nThe tasks"
    with pytest.raises(LostWorkerError) as caught, workers.report_lost_workers("Do X."):
        raise tf.errors.UnavailableError(None, None, message)
    assert str(caught.value) == ("worker 0: lost worker 2. Its own output says why it ended. Do X.")
    unnamed = pytest.raises(LostWorkerError, match=r"lost another worker \(Socket closed\)")
    with unnamed, workers.report_lost_workers("go on"):
        raise tf.errors.AbortedError(None, None, "Collective\nSocket closed")
    # What is wrong with the data is no loss of a worker.
    with pytest.raises(tf.errors.InvalidArgumentError), workers.report_lost_workers("go on"):
        raise tf.errors.InvalidArgumentError(None, None, "bad")
