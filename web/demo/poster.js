// Posters in place of videos: drawn from ids alone, so that a video always looks the same. A category has a palette and a scene, a
// video its own composition, and time moves it.

const PALETTES = [
  ["#1b1035", "#4a1d6b", "#b5336f", "#ff7a59", "#ffd39b"], ["#04202c", "#0b4f6c", "#0f8fb3", "#6fe0c0", "#f1f7dc"],
  ["#0a1f18", "#14532d", "#3f9560", "#b5d768", "#f6f4c4"], ["#210a0c", "#64161a", "#cc3b24", "#ff9b42", "#ffe2a6"],
  ["#180b2e", "#3f1d78", "#8f4fe0", "#ff8fd0", "#ffe4f4"], ["#0b1024", "#1d2f63", "#3d6be0", "#8cc1ff", "#f0f6ff"],
  ["#20170a", "#66480e", "#d99a12", "#ffd95e", "#fff6d6"], ["#220a18", "#701a40", "#e4446f", "#ff9d98", "#ffe6dc"],
  ["#071a20", "#17495a", "#3f97ad", "#aee0e2", "#f4fdfb"], ["#14170b", "#414a1c", "#8c9c3c", "#d6da8a", "#fbfbe4"],
  ["#1f100a", "#5e2d1a", "#bd683c", "#ecb676", "#fbecd8"], ["#0b0720", "#2b1168", "#13a39b", "#d94cf0", "#f7ee78"],
];

export function hash(text, seed = 0x811c9dc5) {
  let h = seed >>> 0;
  for (let i = 0; i < text.length; i += 1) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) >>> 0;
  h ^= h >>> 15; h = Math.imul(h, 0x2c1b3c6d) >>> 0; h ^= h >>> 12;
  return h >>> 0;
}

function random(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const TAU = Math.PI * 2;
const alpha = (color, a) => color + Math.round(Math.max(0, Math.min(1, a)) * 255).toString(16).padStart(2, "0");

function sky(c, w, h, colors, angle = 0) {
  const g = c.createLinearGradient(w * angle, 0, w * (1 - angle), h);
  colors.forEach((color, i) => g.addColorStop(i / (colors.length - 1), color));
  c.fillStyle = g;
  c.fillRect(0, 0, w, h);
}

function glow(c, x, y, r, color, a = 1) {
  const g = c.createRadialGradient(x, y, 0, x, y, r);
  g.addColorStop(0, alpha(color, a)); g.addColorStop(0.55, alpha(color, a * 0.32)); g.addColorStop(1, alpha(color, 0));
  c.fillStyle = g;
  c.fillRect(x - r, y - r, r * 2, r * 2);
}

function disc(c, x, y, r, color) { c.fillStyle = color; c.beginPath(); c.arc(x, y, r, 0, TAU); c.fill(); }

// Each scene: (context, width, height, palette, random, seconds).
const SCENES = [
  function dunes(c, w, h, p, r, t) {
    const up = 0.24 + r() * 0.14, sx = w * (0.25 + r() * 0.5);
    sky(c, w, h, [p[1], p[2], p[3], p[4]]);
    glow(c, sx, h * up, w * 0.75, p[4], 0.75);
    disc(c, sx, h * up + Math.sin(t * 0.25) * h * 0.012, w * (0.13 + r() * 0.06), p[4]);
    const hills = 5;
    for (let i = 0; i < hills; i += 1) {
      const base = h * (0.46 + i * 0.115), height = h * (0.035 + r() * 0.05), long = 1.2 + r() * 1.7, shift = r() * TAU + t * (0.05 + i * 0.045);
      const g = c.createLinearGradient(0, base - height, 0, h);
      g.addColorStop(0, [p[3], p[2], p[2], p[1], p[0]][i]); g.addColorStop(1, [p[2], p[1], p[1], p[0], p[0]][i]);
      c.fillStyle = g;
      c.beginPath(); c.moveTo(0, h);
      for (let x = 0; x <= 48; x += 1) { const u = x / 48; c.lineTo(u * w, base - Math.sin(u * long * TAU * 0.6 + shift) * height - Math.sin(u * long * 5 + shift * 1.7) * height * 0.25); }
      c.lineTo(w, h); c.fill();
    }
  },
  function orbits(c, w, h, p, r, t) {
    sky(c, w, h, [p[0], p[1], p[0]]);
    const cx = w * (0.3 + r() * 0.4), cy = h * (0.34 + r() * 0.12);
    for (let i = 0; i < 70; i += 1) disc(c, r() * w, r() * h, 0.4 + r() * 1.1, alpha(p[4], 0.25 + 0.35 * Math.abs(Math.sin(t * 0.8 + i))));
    glow(c, cx, cy, w * 0.8, p[2], 0.7);
    for (let i = 0; i < 7; i += 1) {
      const rad = w * (0.17 + i * 0.115), tilt = 0.32 + r() * 0.5, turn = r() * TAU, speed = (0.65 - i * 0.06) * (r() < 0.5 ? -1 : 1), size = w * (0.012 + r() * 0.03);
      c.save(); c.translate(cx, cy); c.rotate(turn * 0.18 + 0.35);
      c.strokeStyle = alpha(p[3], 0.42 - i * 0.035); c.lineWidth = Math.max(1, w * 0.004);
      c.beginPath(); c.ellipse(0, 0, rad, rad * tilt, 0, 0, TAU); c.stroke();
      const a = turn + t * speed;
      disc(c, Math.cos(a) * rad, Math.sin(a) * rad * tilt, size, i % 2 ? p[4] : p[3]);
      c.restore();
    }
    const g = c.createRadialGradient(cx - w * 0.05, cy - w * 0.05, 0, cx, cy, w * 0.13);
    g.addColorStop(0, p[4]); g.addColorStop(0.6, p[3]); g.addColorStop(1, p[2]);
    c.fillStyle = g; c.beginPath(); c.arc(cx, cy, w * 0.12, 0, TAU); c.fill();
  },
  function bloom(c, w, h, p, r, t) {
    sky(c, w, h, [p[1], p[0]]);
    const cx = w * (0.35 + r() * 0.3), cy = h * (0.36 + r() * 0.1), petals = 7 + Math.floor(r() * 6);
    glow(c, cx, cy, w * 0.95, p[2], 0.65);
    for (let ring = 5; ring >= 0; ring -= 1) {
      const rad = w * (0.12 + ring * 0.1), turn = r() * TAU + t * (ring % 2 ? 0.07 : -0.09), breathe = 1 + Math.sin(t * 0.7 + ring) * 0.03;
      c.save(); c.translate(cx, cy); c.rotate(turn); c.scale(breathe, breathe);
      for (let i = 0; i < petals; i += 1) {
        c.rotate(TAU / petals);
        const g = c.createLinearGradient(0, 0, 0, -rad * 1.3);
        g.addColorStop(0, alpha(p[1 + (ring % 3)], 0.9)); g.addColorStop(1, alpha(p[2 + (ring % 3)], 0.62));
        c.fillStyle = g;
        c.beginPath(); c.moveTo(0, 0); c.bezierCurveTo(rad * 0.5, -rad * 0.45, rad * 0.36, -rad * 1.15, 0, -rad * 1.3); c.bezierCurveTo(-rad * 0.36, -rad * 1.15, -rad * 0.5, -rad * 0.45, 0, 0); c.fill();
      }
      c.restore();
    }
    disc(c, cx, cy, w * 0.055, p[4]);
  },
  function city(c, w, h, p, r, t) {
    sky(c, w, h, [p[0], p[1], p[2], p[3]]);
    const mx = w * (0.2 + r() * 0.6);
    glow(c, mx, h * 0.2, w * 0.5, p[4], 0.5); disc(c, mx, h * 0.2, w * 0.075, p[4]);
    for (let layer = 0; layer < 3; layer += 1) {
      let x = -w * r() * 0.1 - layer * 3;
      const tone = [p[2], p[1], p[0]][layer];
      while (x < w) {
        const bw = w * (0.09 + r() * 0.12), top = h * (0.3 + layer * 0.13 + r() * 0.2), lit = r();
        c.fillStyle = tone; c.fillRect(x, top, bw + 1, h - top);
        if (r() < 0.4) c.fillRect(x + bw * 0.45, top - h * 0.035, bw * 0.07, h * 0.04);
        const cell = w * 0.028;
        for (let wy = top + cell * 0.8; wy < h * 0.9; wy += cell * 1.25) {
          for (let wx = x + cell * 0.6; wx < x + bw - cell * 0.7; wx += cell) {
            const on = r();
            if (on < 0.2 + lit * 0.3) { c.fillStyle = alpha(on < 0.08 ? p[4] : p[3], 0.35 + 0.45 * (0.5 + 0.5 * Math.sin(t * 0.6 + on * 60))); c.fillRect(wx, wy, cell * 0.5, cell * 0.68); }
          }
        }
        x += bw + w * 0.012 * (layer === 2 ? 0 : 1);
      }
    }
  },
  function currents(c, w, h, p, r, t) {
    sky(c, w, h, [p[0], p[1]], 0.2);
    const lines = 26, a = 0.8 + r() * 1.6, b = r() * TAU, k = 0.6 + r();
    for (let i = 0; i < lines; i += 1) {
      const u = i / lines, y = h * (0.06 + u * 0.9), mix = [p[2], p[3], p[4]][Math.floor(u * 2.99)];
      c.beginPath(); c.moveTo(0, h);
      for (let x = 0; x <= 60; x += 1) {
        const v = x / 60, hill = Math.exp(-((v - 0.5 - 0.16 * Math.sin(u * 3 + b)) ** 2) * 9);
        c.lineTo(v * w, y - hill * h * 0.075 * (1 + Math.sin(v * 9 * a + u * 7 * k + t * 0.75 + b)) - Math.sin(v * 4 + t * 0.3 + u * 4) * h * 0.006);
      }
      c.lineTo(w, h); c.closePath();
      const g = c.createLinearGradient(0, y - h * 0.12, 0, y + h * 0.16);
      g.addColorStop(0, alpha(mix, 0.3)); g.addColorStop(0.6, alpha(p[1], 0.85)); g.addColorStop(1, p[0]);
      c.fillStyle = g; c.fill();
      c.strokeStyle = alpha(mix, 0.9); c.lineWidth = Math.max(1, w * 0.0042); c.stroke();
    }
  },
  function tiles(c, w, h, p, r, t) {
    const n = 4 + Math.floor(r() * 2), s = w / n, rows = Math.ceil(h / s);
    c.fillStyle = p[1]; c.fillRect(0, 0, w, h);
    for (let y = 0; y < rows; y += 1) {
      for (let x = 0; x < n; x += 1) {
        const ground = p[Math.floor(r() * 4)], figure = p[1 + Math.floor(r() * 4)], kind = Math.floor(r() * 5), turn = Math.floor(r() * 4), wait = r() * 9;
        const swing = Math.max(0, Math.sin(t * 0.55 + wait) - 0.72) / 0.28;
        c.save(); c.beginPath(); c.rect(x * s, y * s, s + 0.6, s + 0.6); c.clip();
        c.fillStyle = ground; c.fillRect(x * s, y * s, s + 1, s + 1);
        c.translate(x * s + s / 2, y * s + s / 2); c.rotate((turn + swing * swing * (3 - 2 * swing)) * Math.PI / 2);
        c.fillStyle = figure === ground ? p[4] : figure;
        c.beginPath();
        if (kind === 0) { c.moveTo(-s / 2, -s / 2); c.arc(-s / 2, -s / 2, s, 0, Math.PI / 2); }
        else if (kind === 1) c.arc(0, 0, s * 0.36, 0, TAU);
        else if (kind === 2) { c.moveTo(-s / 2, s / 2); c.lineTo(s / 2, s / 2); c.lineTo(-s / 2, -s / 2); }
        else if (kind === 3) c.arc(0, -s / 2, s / 2, 0, Math.PI);
        else c.rect(-s / 2, -s / 8, s, s / 4);
        c.fill();
        if (kind === 0) { c.fillStyle = ground; c.beginPath(); c.moveTo(-s / 2, -s / 2); c.arc(-s / 2, -s / 2, s * 0.5, 0, Math.PI / 2); c.fill(); }
        c.restore();
      }
    }
    const g = c.createLinearGradient(0, 0, 0, h); g.addColorStop(0, alpha(p[0], 0.1)); g.addColorStop(1, alpha(p[0], 0.55));
    c.fillStyle = g; c.fillRect(0, 0, w, h);
  },
  function aurora(c, w, h, p, r, t) {
    sky(c, w, h, [p[0], p[1], p[0]]);
    for (let i = 0; i < 60; i += 1) disc(c, r() * w, r() * h * 0.7, 0.4 + r(), alpha(p[4], 0.3 + 0.4 * Math.abs(Math.sin(t + i * 2))));
    c.globalCompositeOperation = "screen";
    for (let band = 0; band < 4; band += 1) {
      const x0 = r() * w, a = r() * TAU, wide = w * (0.05 + r() * 0.03), color = [p[3], p[2], p[4], p[3]][band], reach = h * (0.38 + r() * 0.22);
      for (let i = 0; i < 40; i += 1) {
        const u = i / 40, x = x0 + (u - 0.5) * w * 1.7 + Math.sin(u * 5 + a + t * 0.32) * w * 0.14, y = h * (0.2 + band * 0.05) + Math.sin(u * 4 + a * 2 + t * 0.21) * h * 0.07;
        const g = c.createLinearGradient(0, y, 0, y + reach);
        g.addColorStop(0, alpha(color, 0)); g.addColorStop(0.18, alpha(color, 0.24)); g.addColorStop(1, alpha(color, 0));
        c.fillStyle = g; c.fillRect(x - wide / 2, y, wide, reach);
      }
    }
    c.globalCompositeOperation = "source-over";
    c.fillStyle = p[0]; c.beginPath(); c.moveTo(0, h); c.lineTo(0, h * 0.78);
    for (let i = 0; i <= 16; i += 1) c.lineTo((i / 16) * w, h * (0.7 + r() * 0.1 + (i % 2) * 0.03));
    c.lineTo(w, h); c.fill();
  },
  function lava(c, w, h, p, r, t) {
    sky(c, w, h, [p[1], p[0]], 0.3);
    for (let i = 0; i < 11; i += 1) {
      const x = w * (0.1 + r() * 0.8), y = h * (0.05 + r() * 0.8), rad = w * (0.22 + r() * 0.34), a = r() * TAU, color = p[1 + Math.floor(r() * 4)];
      glow(c, x + Math.sin(t * 0.4 + a) * w * 0.12, y + Math.cos(t * 0.33 + a * 2) * h * 0.06, rad, color, 0.95);
    }
    for (let i = 0; i < 3; i += 1) {
      const x = w * (0.2 + r() * 0.6) + Math.sin(t * 0.5 + i) * w * 0.06, y = h * (0.2 + r() * 0.45) + Math.cos(t * 0.41 + i * 2) * h * 0.04, rad = w * (0.09 + r() * 0.13);
      const g = c.createRadialGradient(x - rad * 0.4, y - rad * 0.5, rad * 0.05, x, y, rad);
      g.addColorStop(0, p[4]); g.addColorStop(0.5, p[3]); g.addColorStop(1, p[2]);
      c.fillStyle = g; c.beginPath(); c.arc(x, y, rad, 0, TAU); c.fill();
    }
  },
  function peaks(c, w, h, p, r, t) {
    sky(c, w, h, [p[1], p[2], p[3], p[4]]);
    const sx = w * (0.2 + r() * 0.6);
    glow(c, sx, h * 0.28, w * 0.6, p[4], 0.85); disc(c, sx, h * 0.28, w * 0.1, p[4]);
    for (let layer = 0; layer < 4; layer += 1) {
      const base = h * (0.5 + layer * 0.12), drift = Math.sin(t * 0.12 + layer) * w * 0.015 * (4 - layer), points = [];
      for (let i = -1; i <= 7; i += 1) points.push([(i / 6) * w + (r() - 0.5) * w * 0.1 + drift, base - (i % 2 ? 1 : 0.1) * h * (0.09 + r() * 0.13)]);
      c.fillStyle = [p[3], p[2], p[1], p[0]][layer];
      c.beginPath(); c.moveTo(-w * 0.4, h); points.forEach(([x, y]) => c.lineTo(x, y)); c.lineTo(w * 1.4, h); c.fill();
      c.fillStyle = alpha(p[4], 0.13 + 0.05 * (3 - layer));
      points.forEach(([x, y], i) => { const next = points[i + 1]; if (next && next[1] > y) { c.beginPath(); c.moveTo(x, y); c.lineTo(next[0], next[1]); c.lineTo(x + (next[0] - x) * 0.18, y + (next[1] - y) * 0.75); c.fill(); } });
    }
  },
];

// How a category looks: its palette and its scene.
export function look(category) {
  const palette = PALETTES[hash(category) % PALETTES.length];
  return { palette, scene: SCENES[hash(`scene ${category}`) % SCENES.length] };
}

// A creator's face: two colours and an angle.
export function face(creator) {
  const h = hash(creator), palette = PALETTES[h % PALETTES.length];
  return `conic-gradient(from ${h % 360}deg, ${palette[3]}, ${palette[2]}, ${palette[4]}, ${palette[3]})`;
}

// Draws a video's poster over the whole canvas, as it is after some seconds.
export function paint(canvas, item, seconds = 0, caption = true) {
  const c = canvas.getContext("2d"), { width: w, height: h } = canvas, { palette, scene } = look(item.category);
  if (!w || !h) return;
  c.globalCompositeOperation = "source-over";
  scene(c, w, h, palette, random(hash(item.video)), seconds + (hash(item.video) % 600) / 10);
  if (!caption) return;
  // The category, as large as it fits.
  const name = item.category.toUpperCase();
  let size = w * 0.5;
  c.font = `800 ${size}px system-ui, sans-serif`;
  size *= Math.min(1, (w * 0.8) / c.measureText(name).width);
  c.font = `800 ${size}px system-ui, sans-serif`;
  c.textBaseline = "alphabetic";
  c.fillStyle = alpha(palette[4], 0.2);
  c.fillText(name, w * 0.065, h * 0.115 + size * 0.72);
}
