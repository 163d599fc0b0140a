// drawChart(figure, spec): one chart as SVG, with pointer, legend (hide a series) and zoom (drag; double click resets).
// The colours, dashes and markers come from the page (window.chartStyle), so that page and image files agree.
"use strict";
window.drawChart = (figure, spec) => {
  const style = window.chartStyle, plot = figure.querySelector(".plot"), legend = figure.querySelector(".legend");
  const reset = figure.querySelector(".reset"), hidden = new Set(), zoom = { x: null, y: null };
  const tip = plot.querySelector(".tip");
  const lookOf = (k) => spec.series[k]?.look || [k, Math.floor(k / style.colours.length), 2];
  const colour = (k) => spec.series[k]?.ink ? "var(--ink)" : style.colours[lookOf(k)[0] % style.colours.length];
  const dash = (k) => style.dashes[lookOf(k)[1] % style.dashes.length];
  const whole = spec.series.every((s) => s.x.every((v) => !known(v) || Number.isInteger(v))); // epochs, members, tasks
  const shown = () => spec.series.map((s, k) => ({ ...s, k })).filter((s) => !hidden.has(s.k));
  const categories = spec.kind === "intervals" || spec.kind === "heat";

  const tx = (v) => scaled(v, spec.log_x);

  const draw = () => {
    const list = spec.kind === "stack" ? stacked(shown()) : shown();
    const width = Math.max(280, Math.round(plot.clientWidth)), narrow = width < 460;
    const names = categories ? spec.rows : [];
    const longest = Math.max(0, ...names.map((n) => n.length));
    const titled = spec.kind === "heat" && spec.y_label ? 16 : 0;
    const fitY = categories ? [names.length - 0.5, -0.5]
      : spec.kind === "stack" ? [0, Math.max(1e-12, Math.round(1000 * Math.max(0, ...list.flatMap((s) => s.top))) / 1000)]
      : extent(list.flatMap((s) => [...s.y, ...(s.low || []), ...(s.high || []), ...(spec.diagonal ? s.x : [])]), spec.named ? 0.15 : 0.06);
    const [y0, y1] = zoom.y || fitY;
    const beside = categories ? 0 : Math.max(...ticks(y0, y1, 5).map((v) => show(v).length)); // letters left of the axis
    let left = categories ? Math.min(Math.round(width * 0.4), 16 + longest * 7) + titled : 28 + 7 * Math.max(4, beside);
    const right = categories ? 14 : 22, top = 10;
    const columns = (spec.columns || []).map(short), wide = Math.max(0, ...columns.map((c) => c.length));
    const slanted = wide * 7 > (width - left - right) / columns.length;
    if (slanted && !categories) left = Math.max(left, 22 + 5.2 * columns[0].length); // it reaches to the left of its tick
    const bottom = slanted ? 30 + 5.2 * wide : 44;
    const height = categories ? top + bottom + names.length * (spec.kind === "heat" ? (narrow ? 28 : 34) : 28) : (narrow ? 216 : 256) + bottom + (spec.named ? 80 : 0);
    plot.querySelector("svg")?.remove();
    plot.style.minHeight = 0;
    const svg = add(plot, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": figure.dataset.alt, "font-size": 12 });
    const inner = [left, width - right, top, height - bottom];
    if (spec.kind === "heat") { heat(svg, inner, slanted); return; }
    const xs = list.flatMap((s) => [...s.x, ...(s.x_low || []), ...(s.x_high || [])].map(tx));
    const last = spec.steps && list.length ? [list[0].x.at(-1) + 1] : [];
    const fit = { x: spec.x_range ? spec.x_range.map(tx) : spec.diagonal ? fitY : extent([...xs, ...last], spec.kind === "lines" || spec.kind === "stack" ? 0 : 0.06) };
    const place = list.some((s) => s.aside) ? placeWidth(list, inner) : 0;
    if (place) fit.x = roomForGroups(list, inner, place);
    const [x0, x1] = zoom.x || fit.x;
    const onAxis = (v) => inner[0] + ((tx(v) - x0) / (x1 - x0)) * (inner[1] - inner[0]);
    const Y = (v) => inner[3] - ((v - y0) / (y1 - y0)) * (inner[3] - inner[2]);
    const X = (v, s, i) => onAxis(v) + (s?.aside ? s.aside[i] * place : 0);
    const clip = `clip-${figure.dataset.chart}`;
    add(add(svg, "clipPath", { id: clip }), "rect", { x: inner[0], y: inner[2] - 4, width: inner[1] - inner[0], height: inner[3] - inner[2] + 8 });
    if (place) groupTicks(svg, list, X, inner);
    else if (columns.length) columns.forEach((name, k) => {
      const at = onAxis(k + 1); if (at < inner[0] - 1 || at > inner[1] + 1) return;
      add(svg, "line", { class: "grid", x1: at, x2: at, y1: inner[2], y2: inner[3] });
      tickOf(svg, at, inner[3] + 16, name, slanted);
    }); else for (const v of spec.log_x ? logTicks(x0, x1) : ticks(x0, x1, narrow ? 4 : 7, whole)) {
      const at = inner[0] + ((v - x0) / (x1 - x0)) * (inner[1] - inner[0]);
      add(svg, "line", { class: "grid", x1: at, x2: at, y1: inner[2], y2: inner[3] });
      add(svg, "text", { class: "tick", x: at, y: inner[3] + 16, "text-anchor": "middle" }, show(spec.log_x ? 10 ** v : v));
    }
    if (categories) names.forEach((name, k) => {
      add(svg, "text", { x: inner[0] - 8, y: Y(k) + 4, "text-anchor": "end" }, name);
    }); else for (const v of ticks(y0, y1, 5)) {
      add(svg, "line", { class: "grid", x1: inner[0], x2: inner[1], y1: Y(v), y2: Y(v) });
      add(svg, "text", { class: "tick", x: inner[0] - 6, y: Y(v) + 4, "text-anchor": "end" }, show(v));
    }
    add(svg, "line", { class: "axis", x1: inner[0], x2: inner[1], y1: inner[3], y2: inner[3] });
    add(svg, "text", { x: (inner[0] + inner[1]) / 2, y: height - 8, "text-anchor": "middle" }, spec.x_label);
    if (!categories) add(svg, "text", { transform: `translate(12 ${(inner[2] + inner[3]) / 2}) rotate(-90)`, "text-anchor": "middle" }, spec.y_label);
    const area = add(svg, "g", { "clip-path": `url(#${clip})` });
    if (spec.diagonal) diagonalOf(area, onAxis, Y, [x0, x1, y0, y1]);
    for (const s of list) series(area, s, X, Y);
    if (spec.named) nameThem(area, list, X, Y, inner);
    interact(svg, list, X, Y, inner, [x0, x1, y0, y1]);
  };

  // Points of one group stand ``place`` pixels apart: as wide as all points leave room for, at most a marker and a gap.
  // The range of x in which the outermost groups lie whole.
  const roomForGroups = (list, [l, r], place) => {
    const at = list.flatMap((s) => s.x.map((x, i) => [tx(x), Math.abs(s.aside?.[i] || 0)])).filter(([x]) => known(x));
    const [low, high] = extent(at.map(([x]) => x), 0), span = high - low;
    const reach = (edge) => place * (0.8 + Math.max(0, ...at.filter(([x]) => Math.abs(x - edge) <= 0.03 * span).map(([, k]) => k)));
    const before = reach(low), after = reach(high), unit = span / Math.max(20, r - l - before - after);
    return [low - before * unit, high + after * unit];
  };
  // Where points stand side by side, a bracket below spans those of one x, and the axis names only these.
  const groupTicks = (svg, list, X, [l, r, , b]) => {
    const groups = new Map();
    let free = -Infinity;
    for (const s of list) s.x.forEach((x, i) => { if (known(tx(x))) groups.set(x, [...(groups.get(x) || []), X(x, s, i)]); });
    for (const [x, at] of [...groups].sort((p, q) => p[0] - q[0])) {
      const low = Math.min(...at), high = Math.max(...at), middle = (low + high) / 2, text = show(x);
      if (high < l || low > r) continue;
      add(svg, "path", { class: "bracket", d: `M${Math.max(l, low - 5)} ${b + 1}v4H${Math.min(r, high + 5)}v-4` });
      if (middle - 4 * text.length < free || middle < l || middle > r) continue;
      add(svg, "text", { class: "tick", x: middle, y: b + 19, "text-anchor": "middle" }, text);
      free = middle + 4 * text.length + 4;
    }
  };
  // Names beside their points: the first of six positions that covers no point, no bar and no other name; else none.
  const nameThem = (parent, list, X, Y, [l, r, t, b]) => {
    const taken = [], points = [], size = 11;
    for (const s of list) s.x.forEach((x, i) => {
      if (!known(tx(x)) || !known(s.y[i])) return;
      const at = X(x, s, i), y = Y(s.y[i]), bar = s.low && known(s.low[i]) && known(s.high[i]);
      const high = bar ? Math.min(Y(s.high[i]), y - 6) : y - 6, low = bar ? Math.max(Y(s.low[i]), y + 6) : y + 6;
      taken.push([at - 6, y - 6, at + 6, y + 6], [at - 2, high, at + 2, low]);
      points.push({ name: s.name, at, y, high, low });
    });
    const free = (box) => box[0] >= l && box[2] <= r && box[1] >= t && box[3] <= b
      && taken.every((o) => box[2] <= o[0] || box[0] >= o[2] || box[3] <= o[1] || box[1] >= o[3]);
    for (const { name, at, y, high, low } of points) {
      const text = add(parent, "text", { class: "name", "font-size": size }, name), w = text.getComputedTextLength(), h = size + 1;
      const boxes = [[at + 8, y - h / 2], [at - 8 - w, y - h / 2], [at - w / 2, high - 2 - h], [at - w / 2, low + 2]].map(([x, top]) => [x, top, x + w, top + h]);
      const upright = [high - 3 - w, low + 3].map((top) => [at - h / 2, top, at + h / 2, top + w]);
      const box = [...boxes, ...upright].find(free);
      if (!box) { text.remove(); continue; }
      taken.push(box);
      if (upright.includes(box)) text.setAttribute("transform", `translate(${at + 4} ${box[3]}) rotate(-90)`);
      else { text.setAttribute("x", box[0]); text.setAttribute("y", box[3] - 3); }
    }
  };

  const marker = (parent, k, x, y, size, s, i) => {
    const look = { fill: colour(k) }, at = s?.shades?.[i];
    if (known(at)) Object.assign(look, { fill: `rgb(${rampOf(style.sequential, (at - spec.shade[1]) / (spec.shade[2] - spec.shade[1]))})`, stroke: colour(k), "stroke-width": 1.2 });
    if (s?.strong && !s.strong[i]) look.opacity = 0.35;
    drawMarker(parent, style.markers[k % style.markers.length], x, y, size, look);
  };
  const series = (parent, s, X, Y) => {
    const line = { fill: "none", stroke: colour(s.k), "stroke-width": lookOf(s.k)[2], "stroke-dasharray": dash(s.k), "stroke-linejoin": "round" };
    if (spec.kind === "stack") {
      add(parent, "path", { d: loop(s.x, s.low, s.top, X, Y, spec), fill: colour(s.k), "fill-opacity": dash(s.k) ? 0.55 : 0.85, stroke: "var(--paper)" });
      return;
    }
    if (spec.kind === "lines") {
      if (s.low) add(parent, "path", { d: loop(s.x, s.low, s.high, X, Y, spec), fill: colour(s.k), "fill-opacity": 0.15 });
      add(parent, "path", { d: path(s.x, s.y, X, Y, spec), ...line });
      if (s.x.length === 1) marker(parent, s.k, X(s.x[0]), Y(s.y[0]), 4);
      return;
    }
    if (s.joined) add(parent, "path", { d: path(s.x, s.y, X, Y, spec), ...line, "stroke-width": 1.2, ...(s.shades ? { "stroke-dasharray": "5 4", opacity: 0.7 } : {}) });
    const largest = Math.max(...spec.series.flatMap((other) => other.sizes || []).filter(known), 1e-12);
    s.x.forEach((x, i) => {
      if (!known(tx(x)) || !known(s.y[i])) return;
      const bar = { stroke: colour(s.k), "stroke-width": 2 };
      if (s.low && known(s.low[i]) && known(s.high[i])) add(parent, "line", { x1: X(x, s, i), x2: X(x, s, i), y1: Y(s.low[i]), y2: Y(s.high[i]), ...bar });
      if (s.x_low && known(s.x_low[i]) && known(s.x_high[i])) add(parent, "line", { x1: X(s.x_low[i]), x2: X(s.x_high[i]), y1: Y(s.y[i]), y2: Y(s.y[i]), ...bar });
      marker(parent, s.k, X(x, s, i), Y(s.y[i]), s.sizes ? 2.5 + 6 * Math.sqrt(Math.max(0, s.sizes[i]) / largest) : 5, s, i);
    });
  };

  const heat = (svg, [l, r, t, b], slanted) => {
    const values = spec.cells.flat().filter(known), [low, high] = extent(values, 0);
    const reach = Math.max(Math.abs(low), Math.abs(high));
    const w = (r - l) / spec.columns.length, h = (b - t) / spec.rows.length;
    spec.rows.forEach((name, i) => {
      add(svg, "text", { x: l - 8, y: t + (i + 0.5) * h + 4, "text-anchor": "end" }, name);
      spec.columns.forEach((column, j) => {
        const v = spec.cells[i][j];
        if (!known(v)) return;
        const share = spec.diverging ? (v / reach + 1) / 2 : (v - low) / (high - low), c = ramp(share);
        const cell = add(svg, "rect", { x: l + j * w, y: t + i * h, width: w - 1, height: h - 1, fill: `rgb(${c})` });
        const text = add(svg, "text", { x: l + (j + 0.5) * w, y: t + (i + 0.5) * h + 4, "text-anchor": "middle", "pointer-events": "none", "font-size": 11 },
          w > 34 ? show(Number(v.toPrecision(3))) : "");
        text.style.fill = 0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2] > 140 ? "#111" : "#fff";
        cell.addEventListener("pointermove", (e) => say(e, `${name}, ${column}: ${show(v)}`));
        cell.addEventListener("pointerleave", hush);
      });
    });
    spec.columns.forEach((column, j) => tickOf(svg, l + (j + 0.5) * w, b + 14, short(column), slanted));
    add(svg, "text", { x: (l + r) / 2, y: svg.viewBox.baseVal.height - 6, "text-anchor": "middle" }, spec.x_label);
    add(svg, "text", { transform: `translate(12 ${(t + b) / 2}) rotate(-90)`, "text-anchor": "middle" }, spec.y_label);
  };
  const ramp = (share) => rampOf(spec.diverging ? style.diverging : style.sequential, share);

  const say = (event, text) => {
    const box = plot.getBoundingClientRect(), x = event.clientX - box.left;
    tip.textContent = text;
    tip.style.display = "block";
    tip.style.left = `${Math.max(0, Math.min(x + 14, box.width - tip.offsetWidth))}px`;
    tip.style.top = `${Math.max(0, event.clientY - box.top - tip.offsetHeight - 10)}px`;
  };
  const hush = () => { tip.style.display = "none"; };
  const words = (s, i) => {
    const label = s.labels ? s.labels[i] : spec.kind === "intervals" ? s.name : `${s.name}\n${spec.x_label} ${show(s.x[i])}`;
    if (spec.kind === "intervals") return `${label}\n${show(s.x[i])} [${show(s.x_low?.[i])}, ${show(s.x_high?.[i])}]`;
    const band = s.low && spec.kind !== "stack" ? ` [${show(s.low[i])}, ${show(s.high[i])}]` : "";
    return `${label}\n${spec.y_label} ${show(s.y[i])}${band}` + (s.labels ? `\n${spec.x_label} ${show(s.x[i])}` : "");
  };
  const interact = (svg, list, X, Y, [l, r, t, b], [x0, x1, y0, y1]) => {
    const scale = () => svg.viewBox.baseVal.width / svg.getBoundingClientRect().width;
    const place = (e) => { const box = svg.getBoundingClientRect(); return [(e.clientX - box.left) * scale(), (e.clientY - box.top) * scale()]; };
    let from = null, zone = null;
    svg.addEventListener("pointermove", (e) => {
      const [px, py] = place(e);
      if (from) {
        if (!zone) zone = add(svg, "rect", { class: "zone" });
        const set = { x: Math.min(px, from[0]), y: categories ? t : Math.min(py, from[1]), width: Math.abs(px - from[0]), height: categories ? b - t : Math.abs(py - from[1]) };
        for (const key in set) zone.setAttribute(key, set[key]);
        return;
      }
      let near = null;
      for (const s of list) s.x.forEach((x, i) => {
        if (!known(s.y[i]) || !known(tx(x))) return;
        const inside = spec.kind === "stack" ? py <= Y(s.low[i]) && py >= Y(s.top[i]) : true;
        const dx = X(spec.steps ? x + 0.5 : x, s, i) - px, dy = spec.kind === "stack" ? 0 : Y(s.y[i]) - py, distance = dx * dx + dy * dy;
        if (inside && (!near || distance < near.distance)) near = { distance, s, i };
      });
      if (near && (spec.kind === "stack" || near.distance < 2500)) say(e, words(near.s, near.i)); else hush();
    });
    svg.addEventListener("pointerleave", hush);
    svg.addEventListener("pointerdown", (e) => { if (e.pointerType === "mouse" && e.button === 0) { from = place(e); svg.setPointerCapture(e.pointerId); } });
    svg.addEventListener("pointerup", (e) => {
      if (!from) return;
      const [px, py] = place(e), back = (p) => x0 + ((p - l) / (r - l)) * (x1 - x0), up = (p) => y0 + ((b - p) / (b - t)) * (y1 - y0);
      const start = from;
      from = null; zone?.remove(); zone = null;
      if (Math.abs(px - start[0]) < 8 || (!categories && Math.abs(py - start[1]) < 8)) return;
      zoom.x = [px, start[0]].map((p) => back(Math.min(Math.max(p, l), r))).sort((a, c) => a - c);
      if (!categories) zoom.y = [py, start[1]].map((p) => up(Math.min(Math.max(p, t), b))).sort((a, c) => a - c);
      reset.hidden = false;
      draw();
    });
    svg.addEventListener("dblclick", unzoom);
  };
  const unzoom = () => { zoom.x = zoom.y = null; reset.hidden = true; draw(); };
  reset.addEventListener("click", unzoom);

  if (spec.series.length > 1 || spec.kind === "stack") spec.series.forEach((s, k) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    const key = add(button, "svg", { width: 18, height: 12, "aria-hidden": "true" });
    if (spec.kind === "stack") add(key, "rect", { width: 18, height: 12, fill: colour(k), "fill-opacity": dash(k) ? 0.55 : 0.85 });
    else if (spec.kind === "lines") add(key, "line", { x1: 0, x2: 18, y1: 6, y2: 6, stroke: colour(k), "stroke-width": spec.series[k].look ? lookOf(k)[2] : 3, "stroke-dasharray": dash(k) });
    else marker(key, k, 9, 6, 4.5);
    button.append(s.name);
    button.addEventListener("click", () => {
      if (hidden.has(k)) hidden.delete(k); else hidden.add(k);
      button.setAttribute("aria-pressed", String(!hidden.has(k)));
      draw();
    });
    legend.append(button);
  });
  if (spec.shade) shadeKey(legend, spec.shade, style.sequential);
  draw();
  let seen = plot.clientWidth;
  new ResizeObserver(() => { if (plot.clientWidth !== seen) { seen = plot.clientWidth; draw(); } }).observe(plot);
};
