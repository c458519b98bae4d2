"""What the document cannot say: which videos there are, and that an event's time is not in the future."""

import schemathesis


def negative(case):
    generation = case.meta.generation if case.meta else None
    return generation is not None and generation.mode.is_negative


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """An acceptable event is one of a video that is there, and happened."""
    if case.operation.label != "POST /v1/events" or negative(case) or not isinstance(case.body, dict):
        return
    for event in case.body.get("events", [case.body]):
        event["video"] = "v1"
        event.pop("at", None)


@schemathesis.check
def what_is_wrong_in_a_batch_is_named(ctx, response, case):
    """202 for a batch that is not as described says which elements were refused."""
    if response.status_code == 202 and negative(case) and case.method == "POST":
        results = response.json()["results"]
        assert any(result["status"] == "rejected" for result in results), "all of a bad batch was taken"
