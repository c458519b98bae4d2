// Publishes events from standard input, one JSON object a line, to foryou's exchange.

import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import amqp from "amqplib";

const exchange = `${process.env.FORYOU_NAME ?? "foryou"}.events`;
const partitions = BigInt(process.env.FORYOU_PARTITIONS ?? 64);

/** The person's partition: FNV-1a of the id. All of a person's events go through one queue, in order. */
function routingKey(user) {
  let h = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(user)) h = BigInt.asUintN(64, (h ^ BigInt(byte)) * 0x100000001b3n);
  return "p" + (h % partitions).toString().padStart(2, "0");
}

/** Resolves when the broker has confirmed the event; rejects when it refused it. */
function attempt(channel, event) {
  const options = { contentType: "application/json", persistent: true, mandatory: true, messageId: event.id };
  return new Promise((resolve, reject) => {
    let returned = false;
    // A routing key that no queue has: the broker returns the event, and then confirms it.
    const onReturn = () => { returned = true; };
    channel.once("return", onReturn);
    channel.publish(exchange, routingKey(event.user), Buffer.from(JSON.stringify(event)), options, (refused) => {
      channel.off("return", onReturn);
      if (returned) reject(new Error(`${exchange} has no queue for ${routingKey(event.user)}: is FORYOU_PARTITIONS right?`));
      else if (refused) reject(refused);
      else resolve();
    });
  });
}

/** Returns when the event is safe with the broker. */
async function publish(channel, event) {
  for (;;) {
    try {
      return await attempt(channel, event);
    } catch (error) {
      // The partition is full. Those behind wait, too: a person's events stay in order.
      if (error.message !== "message nacked") throw error;
      await sleep(500);
    }
  }
}

const connection = await amqp.connect(process.env.AMQP_URL ?? "amqp://guest:guest@127.0.0.1:5672");
const channel = await connection.createConfirmChannel();
let confirmed = 0;
for await (const line of createInterface({ input: process.stdin })) {
  if (!line.trim()) continue;
  // An id makes it safe to publish again what may have arrived: foryou applies it once.
  const event = { id: randomUUID(), ...JSON.parse(line) };
  await publish(channel, event);
  confirmed += 1;
}
await connection.close();
console.log(`${confirmed} events confirmed`);
