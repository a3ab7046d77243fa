from __future__ import annotations

from eagle_logger.sns.topics import Topic
from workers.bridge.subscriptions import with_permission

TOPIC = Topic.parse("arn:aws:sns:us-east-1:123456789012:fetch")
QUEUE = "arn:aws:sqs:us-east-1:123456789012:fetch"


def test_a_queue_without_a_policy_gets_one() -> None:
    policy = with_permission(None, QUEUE, TOPIC)
    assert policy is not None
    [statement] = policy["Statement"]
    assert (statement["Effect"], statement["Resource"]) == ("Allow", QUEUE)
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": TOPIC.arn}}


def test_other_statements_of_a_policy_stay_and_the_permission_is_added_once() -> None:
    other = {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": QUEUE}
    for before in ({"Id": "mine", "Statement": [other]}, {"Id": "mine", "Statement": other}):
        policy = with_permission(before, QUEUE, TOPIC)
        assert policy is not None
        assert policy["Id"] == "mine"
        assert policy["Statement"][0] == other
        assert with_permission(policy, QUEUE, TOPIC) is None
