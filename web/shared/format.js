// Numbers and times as people read them.

const NONE = "–";
const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function digits(value, significant = 3) {
  if (!Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  if (size >= 1000) return grouped.format(value);
  if (Number.isInteger(value)) return String(value);
  const places = Math.max(0, Math.min(6, significant - 1 - Math.floor(Math.log10(size))));
  return value.toFixed(places);
}

export const whole = (value) => (Number.isFinite(value) ? grouped.format(Math.round(value)) : NONE);
export const rate = (value) => (Number.isFinite(value) ? `${digits(value, 2)}/s` : NONE);
export const counted = (count, one, many = `${one}s`) => `${whole(count)} ${count === 1 ? one : many}`;

// A duration in ms, in the unit that suits it.
export function ms(value) {
  if (!Number.isFinite(value)) return NONE;
  if (value === 0) return "0 ms";
  if (value < 0.1) return `${digits(value * 1000, 2)} µs`;
  if (value < 1000) return `${digits(value, 2)} ms`;
  return `${digits(value / 1000, 2)} s`;
}

export function bytes(value) {
  if (!Number.isFinite(value)) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return `${unit === 0 ? value : digits(value, 3)} ${units[unit]}`;
}

// What is there and too little for the places that are shown is not nothing.
export function percent(value, places = 0) {
  if (!Number.isFinite(value)) return NONE;
  if (value === 0) return "0 %";
  const least = 10 ** -places, parts = value * 100;
  return parts > 0 && parts < least / 2 ? `< ${least} %` : `${parts.toFixed(places)} %`;
}

export function ago(then, now = Date.now()) {
  const seconds = Math.max(0, (now - new Date(then).getTime()) / 1000);
  if (!Number.isFinite(seconds)) return NONE;
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  return `${duration(seconds)} ago`;
}

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return NONE;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

export function instant(time) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return NONE;
  const two = (n) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(date)}`;
}

export function clock(date, seconds = true) {
  const two = (n) => String(n).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}${seconds ? `:${two(date.getSeconds())}` : ""}`;
}

export const words = (name) => name.replaceAll("_", " ");
