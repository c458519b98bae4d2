"""What a server of yours says to foryou, with the client made from its OpenAPI document.

python3 example.py [URL]; FORYOU_KEY: an API key, where the server asks for one.
"""

import os
import sys
import uuid
from typing import TypeVar

from foryou_client import AuthenticatedClient
from foryou_client.api.events import post_events
from foryou_client.api.feeds import get_feed
from foryou_client.api.people import delete_user, get_history, put_user
from foryou_client.api.videos import delete_video, post_videos
from foryou_client.models import (
    Country,
    Event,
    EventBatch,
    EventKind,
    Problem,
    ResultStatus,
    UserProfile,
    Video,
    VideoBatch,
)

T = TypeVar("T")


def answered(answer: T | Problem | None) -> T:
    """What was answered; a problem becomes an error that says what to do."""
    if isinstance(answer, Problem):
        raise RuntimeError(f"{answer.status} {answer.title}: {answer.detail}")
    if answer is None:
        raise RuntimeError("an answer without a body")
    return answer


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
    # A server that asks nobody does not look at the token.
    foryou = AuthenticatedClient(url, token=os.environ.get("FORYOU_KEY", "none"))

    # Of this run, so that it can be run again.
    run = uuid.uuid4().hex[:8]
    user = f"py-{run}"
    videos = [
        Video(id=f"py-{run}-{n}", creator=f"py-{n % 3}", category="cooking", duration_ms=15_000)
        for n in range(12)
    ]
    watched = videos[0].id

    answered(put_user.sync(user, client=foryou, body=UserProfile(country=Country.DE, language="de")))
    published = answered(post_videos.sync(client=foryou, body=VideoBatch(videos)))
    assert published.accepted == len(videos), published

    events = [
        Event(id=f"py-{run}-view", user=user, video=watched, kind=EventKind.VIEW, watch_ms=15_000),
        Event(id=f"py-{run}-like", user=user, video=watched, kind=EventKind.LIKE),
    ]
    told = answered(post_events.sync(client=foryou, body=EventBatch(events)))
    assert all(result.status is ResultStatus.ACCEPTED for result in told.results), told

    # With `after` the feed waits until the person's session knows of that event.
    feed = answered(get_feed.sync(user, client=foryou, limit=5, after=f"py-{run}-like", wait_ms=2000, explain=True))
    assert feed.items, "the feed is empty"
    assert all(item.video != watched for item in feed.items), "the feed has what was watched"
    for item in feed.items:
        print(item.position, item.video, item.source, f"{item.score:.3f}")

    history = answered(get_history.sync(user, client=foryou))
    assert history.events[0].kind is EventKind.LIKE, history

    # A problem document is a value with a type, not an exception: what is wrong is named field by field.
    refused = post_events.sync(client=foryou, body=Event(user=user, video="nobody-published-this", kind=EventKind.LIKE))
    assert isinstance(refused, Problem) and refused.status == 422 and refused.errors, refused
    assert refused.errors[0].field == "video", refused
    print("refused as it should be:", refused.detail)

    erased = delete_user.sync_detailed(user, client=foryou)
    assert erased.status_code == 204, erased
    for video in videos:
        assert delete_video.sync_detailed(video.id, client=foryou).status_code == 204


if __name__ == "__main__":
    main()
