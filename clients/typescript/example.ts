// What a server of yours says to foryou, with types made from its OpenAPI document: node built/example.js [URL]; FORYOU_KEY, a key.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Problem = components["schemas"]["Problem"];
type Event = components["schemas"]["Event"];

const key = process.env["FORYOU_KEY"];
const foryou = createClient<paths>({
  baseUrl: process.argv[2] ?? "http://127.0.0.1:8080",
  headers: key ? { authorization: `Bearer ${key}` } : {},
});

/** What was answered, or the problem as an error that says what to do. */
function answered<T>({ data, error, response }: { data?: T | undefined; error?: Problem | undefined; response: Response }): T {
  if (error) throw new Error(`${response.status} ${error.title}: ${error.detail}`);
  return data as T;
}

// Of this run, so that it can be run again.
const run = crypto.randomUUID().slice(0, 8);
const user = `ts-${run}`;
const video = (n: number) => `ts-${run}-${n}`;

answered(await foryou.PUT("/v1/users/{id}", { params: { path: { id: user } }, body: { country: "DE", language: "de" } }));
const videos = Array.from({ length: 12 }, (_, n) => ({ id: video(n), creator: `ts-${n % 3}`, category: "cooking", duration_ms: 15_000 }));
const published = answered(await foryou.POST("/v1/videos", { body: { videos } }));
if (published.accepted !== videos.length) throw new Error(`published ${published.accepted}`);

const events: Event[] = [
  { id: `ts-${run}-view`, user, video: video(0), kind: "view", watch_ms: 15_000 },
  { id: `ts-${run}-like`, user, video: video(0), kind: "like" },
];
const told = answered(await foryou.POST("/v1/events", { body: { events } }));
if (told.results.some((result) => result.status !== "accepted")) throw new Error(JSON.stringify(told));

// With `after` the feed waits until the person's session knows of that event.
const query = { limit: 5, after: `ts-${run}-like`, wait_ms: 2000, explain: true };
const feed = answered(await foryou.GET("/v1/users/{id}/feed", { params: { path: { id: user }, query } }));
if (feed.items.length === 0) throw new Error("the feed is empty");
if (feed.items.some((item) => item.video === video(0))) throw new Error("the feed has what was watched");
for (const item of feed.items) console.log(`${item.position} ${item.video} ${item.source} ${item.score.toFixed(3)}`);

const history = answered(await foryou.GET("/v1/users/{id}/history", { params: { path: { id: user } } }));
if (history.events[0]?.kind !== "like") throw new Error(JSON.stringify(history));

// A problem document is a value with a type, not an exception: what is wrong is named field by field.
const refused = await foryou.POST("/v1/events", { body: { user, video: "nobody-published-this", kind: "like" } });
const problem = refused.error;
if (refused.response.status !== 422 || problem?.errors?.[0]?.field !== "video") throw new Error(JSON.stringify(refused));
console.log(`refused as it should be: ${problem.detail}`);

answered(await foryou.DELETE("/v1/users/{id}", { params: { path: { id: user } } }));
for (const { id } of videos) answered(await foryou.DELETE("/v1/videos/{id}", { params: { path: { id } } }));
