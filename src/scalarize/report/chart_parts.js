// Parts of a chart that know no figure: SVG nodes, numbers as text, ticks, ranges, outlines of lines and bands.
"use strict";
const ns = "http://www.w3.org/2000/svg";
const add = (parent, tag, attributes, text) => {
  const node = document.createElementNS(ns, tag);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
};
const known = (v) => v !== null && v !== undefined;
const show = (v) => !known(v) ? "unknown" : v === 0 ? "0" : Math.abs(v) >= 1e5 || Math.abs(v) < 1e-3 ? v.toExponential(2) : String(Number(v.toPrecision(4)));
const short = (name) => name.length > 32 ? `${name.slice(0, 20)}\u2026${name.slice(-11)}` : name;
const tickOf = (svg, x, y, text, slanted) => // names below an axis, slanted if they would not fit side by side
  add(svg, "text", slanted ? { class: "tick", transform: `translate(${x + 4} ${y}) rotate(-38)`, "text-anchor": "end" } : { class: "tick", x, y, "text-anchor": "middle" }, text);
const ticks = (low, high, count, whole = false) => {
  const raw = Math.max(whole ? 1 : 0, (high - low) / Math.max(count, 1)), power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
};
const logTicks = (low, high) => {
  const found = [];
  for (let p = Math.floor(low); p <= Math.ceil(high); p++)
    for (const m of high - low > 3 ? [1] : [1, 2, 5]) {
      const v = p + Math.log10(m);
      if (v >= low - 1e-9 && v <= high + 1e-9) found.push(v);
    }
  return found.length > 1 ? found : ticks(10 ** low, 10 ** high, 4).map(Math.log10);
};
const extent = (values, pad) => {
  let low = Infinity, high = -Infinity;
  for (const v of values) if (known(v)) { if (v < low) low = v; if (v > high) high = v; }
  if (low > high) return [0, 1];
  if (low === high) { const d = Math.abs(low) * 0.05 || 0.5; return [low - d, high + d]; }
  return [low - pad * (high - low), high + pad * (high - low)];
};
const stacked = (list) => {
  const xs = list.length ? list[0].x : [], base = xs.map(() => 0);
  return list.map((s) => {
    const low = base.slice();
    s.y.forEach((v, i) => { base[i] += v || 0; });
    return { ...s, low, top: base.slice() };
  });
};
const placeWidth = (list, [l, r]) => Math.min(15, (r - l) / (2 + list.reduce((n, s) => n + s.x.length, 0)));
const scaled = (v, log) => known(v) && log ? (v > 0 ? Math.log10(v) : null) : v;
const path = (xs, ys, X, Y, spec) => {
  let text = "", pen = false;
  const go = (x, y) => { text += `${pen ? "L" : "M"}${X(x).toFixed(1)} ${Y(y).toFixed(1)}`; pen = true; };
  xs.forEach((x, i) => {
    if (!known(ys[i]) || !known(scaled(x, spec.log_x))) { pen = false; return; }
    go(x, ys[i]);
    if (spec.steps) go(i + 1 < xs.length ? xs[i + 1] : x + 1, ys[i]);
  });
  return text;
};
const loop = (xs, low, high, X, Y, spec) => {
  const keep = xs.map((_, i) => i).filter((i) => known(low[i]) && known(high[i]));
  const pick = (a) => keep.map((i) => a[i]);
  const there = path(pick(xs), pick(high), X, Y, spec), back = path(pick(xs), pick(low), X, Y, spec);
  const points = back.slice(1).split("L").reverse();
  return keep.length ? `${there}L${points.join("L")}Z` : "";
};
const rampOf = (stops, share) => {
  const at = Math.min(Math.max(share, 0), 1) * (stops.length - 1), k = Math.min(Math.floor(at), stops.length - 2);
  return stops[k].map((c, i) => Math.round(c + (stops[k + 1][i] - c) * (at - k)));
};
const drawMarker = (parent, kind, x, y, r, look) => {
  const shapes = { square: `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}Z`, triangle: `M${x} ${y - 1.2 * r}l${1.2 * r} ${2.1 * r}h${-2.4 * r}Z`,
    diamond: `M${x} ${y - 1.3 * r}l${1.3 * r} ${1.3 * r}l${-1.3 * r} ${1.3 * r}l${-1.3 * r} ${-1.3 * r}Z` };
  if (kind === "circle") add(parent, "circle", { cx: x, cy: y, r, ...look });
  else add(parent, "path", { d: shapes[kind], ...look });
};
// The scale of shaded points, as the last entry of the legend.
const shadeKey = (legend, [label, low, high], stops) => {
  const key = document.createElement("span"), bar = document.createElement("i");
  key.className = "shade";
  bar.style.background = `linear-gradient(to right, ${stops.map((c) => `rgb(${c})`).join(", ")})`;
  key.append(`${label} ${show(low)} `, bar, ` ${show(high)}`);
  legend.append(key);
};
// The line where x equals y, as far as both axes show it.
const diagonalOf = (parent, onX, onY, [x0, x1, y0, y1]) => {
  const low = Math.max(x0, y0), high = Math.min(x1, y1);
  if (low < high) add(parent, "line", { class: "diagonal", x1: onX(low), y1: onY(low), x2: onX(high), y2: onY(high) });
};
