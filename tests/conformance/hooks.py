"""What the document cannot say: that 1.0 is no whole number here, which videos there are, and that an event's time is past."""

import schemathesis


def negative(case):
    generation = case.meta.generation if case.meta else None
    return generation is not None and generation.mode.is_negative


def whole(value):
    """JSON Schema takes 1.0 for an integer; the server does not."""
    if isinstance(value, dict):
        return {name: whole(field) for name, field in value.items()}
    if isinstance(value, list):
        return [whole(element) for element in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Makes what is acceptable by the document acceptable. What is not stays as it is."""
    if negative(case) or not isinstance(case.body, dict):
        return
    case.body = whole(case.body)
    if case.operation.label == "POST /v1/events":
        for event in case.body.get("events", [case.body]):
            event["video"] = "v1"
            event.pop("at", None)


@schemathesis.check
def what_is_wrong_in_a_batch_is_named(ctx, response, case):
    """202 for a batch that is not as described says which elements were refused."""
    if response.status_code == 202 and negative(case) and case.method == "POST":
        results = response.json()["results"]
        assert any(result["status"] == "rejected" for result in results), "all of a bad batch was taken"
