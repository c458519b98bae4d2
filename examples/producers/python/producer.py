"""Publishes events from standard input, one JSON object a line, to foryou's exchange."""

import json
import os
import sys
import time
import uuid

import pika
from pika.exceptions import NackError

EXCHANGE = os.environ.get("FORYOU_NAME", "foryou") + ".events"
PARTITIONS = int(os.environ.get("FORYOU_PARTITIONS", "64"))


def routing_key(user: str) -> str:
    """The person's partition: FNV-1a of the id. All of a person's events go through one queue, in order."""
    h = 0xCBF29CE484222325
    for byte in user.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return f"p{h % PARTITIONS:02}"


def publish(channel, event: dict) -> None:
    """Returns when the event is safe with the broker."""
    body = json.dumps(event, ensure_ascii=False).encode()
    properties = pika.BasicProperties(
        content_type="application/json", delivery_mode=pika.DeliveryMode.Persistent, message_id=event["id"]
    )
    while True:
        try:
            # mandatory: a routing key that no queue has is an error here (UnroutableError), not a lost event.
            channel.basic_publish(EXCHANGE, routing_key(event["user"]), body, properties, mandatory=True)
            return
        except NackError:
            # The partition is full. Those behind wait, too: a person's events stay in order.
            time.sleep(0.5)


def main() -> None:
    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672")
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        confirmed = 0
        for line in filter(str.strip, sys.stdin):
            event = json.loads(line)
            # An id makes it safe to publish again what may have arrived: foryou applies it once.
            event.setdefault("id", str(uuid.uuid4()))
            publish(channel, event)
            confirmed += 1
    print(f"{confirmed} events confirmed")


if __name__ == "__main__":
    main()
