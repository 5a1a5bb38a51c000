"use strict";
(() => {
  // ---- Tables: click a header to sort, type to filter ----
  const number = (text) => {
    const found = text.replace(/,/g, "").match(/^[<>~+]?\s*(-?\d+(\.\d+)?(e[-+]?\d+)?)/i);
    const prefix = text.match(/\d ([kMG])B$/);
    return found ? Number(found[1]) * (prefix ? { k: 1e3, M: 1e6, G: 1e9 }[prefix[1]] : 1) : NaN;
  };
  const compare = (left, right) => {
    const [a, b] = [number(left), number(right)];
    if (!Number.isNaN(a) && !Number.isNaN(b)) return a - b;
    return left.localeCompare(right, "en", { numeric: true });
  };
  const sortBy = (table, index, heading) => {
    const ascending = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows].map((row) => [row.cells[index].textContent.trim(), row]);
    const missing = (text) => text === "–" || text === "";
    rows.sort(([a], [b]) => missing(a) - missing(b) || (missing(a) ? 0 : (ascending ? 1 : -1) * compare(a, b)));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };
  const makeSortable = (table) => {
    [...table.tHead.rows[0].cells].forEach((heading, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = heading.textContent;
      button.addEventListener("click", () => sortBy(table, index, heading));
      heading.replaceChildren(button);
    });
  };
  const makeFilter = (box, table) => {
    const tools = element("div", { class: "tools" });
    const label = element("label", {}, "Filter rows ");
    const input = element("input", { type: "search", autocomplete: "off" });
    const count = element("span", { role: "status" });
    label.append(input);
    tools.append(label, count);
    box.querySelector(".title").after(tools);
    const rows = [...table.tBodies[0].rows];
    const apply = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
      const kept = rows.filter((row) => !row.hidden).length;
      count.textContent = words.length ? `${kept} of ${rows.length} rows` : `${rows.length} rows`;
    };
    input.addEventListener("input", apply);
    apply();
  };
  function element(name, attributes = {}, text = "") {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  }
  for (const box of document.querySelectorAll("[data-sort]")) {
    const table = box.querySelector("table");
    makeSortable(table);
    if (table.tBodies[0].rows.length > 5) makeFilter(box, table);
  }
  // On small screens the table of contents starts closed.
  if (window.matchMedia("(max-width: 70rem)").matches) document.querySelector(".contents details").open = false;

  // ---- Table of methods: one task at a time; a phone shows the main columns until asked for all ----
  const box = document.getElementById("method-table");
  if (box) {
    const tasks = [...box.querySelectorAll(".methodtask")];
    for (const task of tasks) makeSortable(task.querySelector("table"));
    const label = element("label", { for: "method-task" }, "Task ");
    const menu = element("select", { id: "method-task" });
    menu.append(...tasks.map((task, place) => element("option", { value: place }, task.dataset.title)));
    const chooseTask = () => tasks.forEach((task, place) => { task.hidden = place !== Number(menu.value); });
    menu.addEventListener("change", chooseTask);
    const whole = element("button", { type: "button", class: "whole-button" }, "all columns");
    whole.addEventListener("click", () => { whole.textContent = box.classList.toggle("whole") ? "main columns" : "all columns"; });
    box.querySelector(".tools").append(label, menu, whole);
    box.classList.add("chosen");
    chooseTask();
  }

  // ---- Links: scroll smoothly to what is near, jump to what is more than two screens away ----
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='#']");
    const target = link && document.getElementById(link.getAttribute("href").slice(1));
    if (!target) return;
    const far = Math.abs(target.getBoundingClientRect().top) > 2 * window.innerHeight;
    document.documentElement.style.scrollBehavior = far ? "auto" : "";
  });

  // ---- Evidence: the rows behind a sentence, on hover or focus ----
  let card = null;
  const hideCard = () => { card?.remove(); card = null; };
  const showCard = (link) => {
    hideCard();
    const rows = document.querySelector(link.getAttribute("href"));
    if (!rows || window.matchMedia("(max-width: 43rem)").matches) return;
    card = element("div", { class: "card", "aria-hidden": "true" });
    for (const child of rows.cloneNode(true).children) card.append(child.cloneNode(true));
    for (const inner of card.querySelectorAll("a")) inner.replaceWith(inner.textContent);
    document.body.append(card);
    const place = link.getBoundingClientRect();
    const left = Math.max(8, Math.min(place.left, document.documentElement.clientWidth - card.offsetWidth - 8));
    const below = place.bottom + 6 + card.offsetHeight < window.innerHeight || place.top < card.offsetHeight + 6;
    const top = below ? place.bottom + 6 : place.top - card.offsetHeight - 6;
    card.style.left = `${left + window.scrollX}px`;
    card.style.top = `${top + window.scrollY}px`;
  };
  for (const link of document.querySelectorAll("a.rows")) {
    link.addEventListener("mouseenter", () => showCard(link));
    link.addEventListener("focus", () => showCard(link));
    link.addEventListener("mouseleave", hideCard);
    link.addEventListener("blur", hideCard);
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideCard(); });

  // ---- Explorer: two metrics, two panels, filters, and the Pareto front of what is shown ----
  const root = document.getElementById("explorer");
  if (!root) return;
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const metrics = new Map(data.metrics.map((metric) => [metric.key, metric]));
  const marks = new Map(data.methods.map((method) => [method.name, method]));
  const ALL = "all";
  const SVG = "http://www.w3.org/2000/svg";
  const draw = (name, attributes) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const polygon = (sides, radius, turn = 0, inner = 0) => {
    const steps = inner ? 2 * sides : sides;
    const points = Array.from({ length: steps }, (_, step) => {
      const size = inner && step % 2 ? inner : radius;
      const angle = turn - Math.PI / 2 + (2 * Math.PI * step) / steps;
      return `${(size * Math.cos(angle)).toFixed(2)},${(size * Math.sin(angle)).toFixed(2)}`;
    });
    return `M${points.join("L")}Z`;
  };
  const cross = (r, w) => `M${-w},${-r}H${w}V${-w}H${r}V${w}H${w}V${r}H${-w}V${w}H${-r}V${-w}H${-w}Z`;
  const spokes = (...angles) => angles.map((a) => `M0,0L${(6 * Math.sin(a)).toFixed(2)},${(-6 * Math.cos(a)).toFixed(2)}`).join("");
  const P = Math.PI;
  const SHAPES = {
    o: "M5,0A5,5 0 1 1 -5,0A5,5 0 1 1 5,0Z", s: "M-4.5,-4.5H4.5V4.5H-4.5Z", D: polygon(4, 6), d: "M0,-6.5L4,0L0,6.5L-4,0Z",
    "^": polygon(3, 6.3), v: polygon(3, 6.3, P), "<": polygon(3, 6.3, -P / 2), ">": polygon(3, 6.3, P / 2),
    "*": polygon(5, 7.5, 0, 3), p: polygon(5, 6), h: polygon(6, 6), H: polygon(6, 6, P / 6), 8: polygon(8, 5.6, P / 8),
    P: cross(6, 2.2), X: cross(6, 2.2), "+": spokes(0, P / 2, P, -P / 2), x: spokes(P / 4, -P / 4, 3 * P / 4, -3 * P / 4),
    "|": spokes(0, P), _: spokes(P / 2, -P / 2), 1: spokes(P, P / 3, -P / 3), 2: spokes(0, 2 * P / 3, -2 * P / 3),
  };
  // The study that published points belong to.
  const PUBLISHED = "literature";
  const shape = (method, filled) => {
    const { colour, marker } = marks.get(method);
    const attributes = { d: SHAPES[marker] ?? SHAPES.o, stroke: colour, "stroke-width": 1.8, fill: filled ? colour : "#fff" };
    if (marker === "X") attributes.transform = "rotate(45)";
    return draw("path", attributes);
  };
  const show = (value, key, digits = 3) => {
    const { unit } = metrics.get(key);
    if (unit === "bytes") {
      const step = Math.min(4, Math.floor(Math.log10(Math.max(1, Math.abs(value))) / 3));
      return `${Number((value / 1000 ** step).toPrecision(digits))} ${["B", "kB", "MB", "GB", "TB"][step]}`;
    }
    const text = Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(digits)));
    return unit ? `${text} ${unit}` : text;
  };
  // Use as few digits as keep the tick labels of an axis distinct; the axis title names the unit.
  const tickTexts = (values, key) => {
    const written = (digits) => values.map((value) => show(value, key, digits).replace(/ [%s]$| points$/, ""));
    const distinct = [3, 4, 5, 6, 7].map(written).find((texts) => new Set(texts).size === texts.length);
    return distinct ?? written(3);
  };
  const axisName = (key) => {
    const { name, unit, log } = metrics.get(key);
    const parts = [unit === "bytes" ? "" : unit, log ? "log scale" : ""].filter(Boolean);
    return parts.length ? `${name} (${parts.join(", ")})` : name;
  };
  const values = (field, points) => [...new Set(points.map((point) => point[field]))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  let selects = 0;
  const select = (label, options, chosen) => {
    selects += 1;
    const box = element("div");
    const made = element("select", { id: `select-${selects}` });
    const fill = (list, keep) => {
      made.replaceChildren(...list.map(([value, text]) => { const o = element("option", { value }, text); o.selected = value === keep; return o; }));
    };
    fill(options, chosen);
    box.append(element("label", { for: made.id }, label), made);
    return { box, made, fill };
  };

  const worse = (a, b, key) => (metrics.get(key).lower_is_better ? a.values[key] - b.values[key] : b.values[key] - a.values[key]);
  // Differences from one reference, each with its interval, bound the difference of any two points from below.
  const shownBetter = (a, b) => a.against_full[1] - b.against_full[2] > 0;
  // Which rule makes the front of points of one task and model; none where they cannot be compared.
  const frontRule = (points, x, y) => {
    // Of a rate or a rank neither end is better, so that nothing is dominated.
    if ([x, y].some((key) => metrics.get(key).lower_is_better === null)) return "none";
    if (![x, y].includes("accuracy") || points.every((p) => p.study === PUBLISHED)) return "numbers";
    return points.filter((p) => p.against_full).length > points.length / 2 ? "paired" : "none";
  };
  const onFront = (points, x, y) => {
    const rule = frontRule(points, x, y);
    if (rule === "none") return [];
    if (rule === "paired") {
      // From the cheapest on: what costs more must be shown to be better than all that is on the front already.
      const cost = x === "accuracy" ? y : x;
      const ordered = points.filter((p) => p.against_full).sort((a, b) => worse(a, b, cost) || b.against_full[0] - a.against_full[0]);
      return ordered.reduce((front, p) => (front.every((q) => shownBetter(p, q)) ? [...front, p] : front), []);
    }
    // A point is dominated if another one is no worse in both metrics and better in one.
    return points.filter((p) => !points.some((q) => worse(p, q, x) >= 0 && worse(p, q, y) >= 0 && (worse(p, q, x) > 0 || worse(p, q, y) > 0)));
  };
  const groups = (points) => Map.groupBy ? Map.groupBy(points, (p) => `${p.study}|${p.task}|${p.model}`)
    : points.reduce((map, p) => { const k = `${p.study}|${p.task}|${p.model}`; map.set(k, [...(map.get(k) ?? []), p]); return map; }, new Map());

  const scale = (key, points, from, to) => {
    const { log } = metrics.get(key);
    const ends = points.flatMap((p) => [p.values[key], ...(p.intervals[key] ?? [])]).filter((v) => !log || v > 0);
    let [low, high] = [Math.min(...ends), Math.max(...ends)].map((v) => (log ? Math.log10(v) : v));
    const room = (high - low || 1) * 0.07;
    low -= room; high += room;
    const place = (value) => from + ((to - from) * ((log ? Math.log10(Math.max(value, 1e-12)) : value) - low)) / (high - low);
    return { place, ticks: ticks(low, high, log) };
  };
  const evenTicks = (low, high) => {
    const rough = (high - low) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough);
    const found = [];
    for (let v = Math.ceil(low / step) * step; v <= high; v += step) found.push(Number(v.toPrecision(12)));
    return found;
  };
  const ticks = (low, high, log) => {
    if (!log) return evenTicks(low, high);
    const factors = high - low > 4 ? [1] : high - low > 1.53 ? [1, 3] : [1, 2, 5];
    const found = [];
    for (let power = Math.floor(low); power <= high; power += 1) for (const f of factors) found.push(f * 10 ** power);
    const inside = found.filter((v) => Math.log10(v) >= low && Math.log10(v) <= high);
    return inside.length > 2 ? inside : evenTicks(10 ** low, 10 ** high);
  };

  const signed = (value) => (value < 0 ? "" : "+") + value.toFixed(1);
  const difference = (point) => {
    if (!point.against_full) return "–";
    if (point.method === "full") return "0";
    const [mean, low, high] = point.against_full.map(signed);
    return `${mean} [${low}, ${high}]`;
  };
  const described = (point, x, y, front) => {
    const interval = (key) => (point.intervals[key] ? ` [${point.intervals[key].map((v) => show(v, key)).join(", ")}]` : "");
    const named = [point.method, point.setting, point.model, point.task].filter(Boolean).join(", ");
    const numbers = [x, y].map((key) => `${metrics.get(key).name} ${show(point.values[key], key)}${interval(key)}`).join("; ");
    const less = point.against_full && point.method !== "full" ? ` Less full fine-tuning, paired: ${difference(point)} points.` : "";
    return `${named}: ${numbers}.${less} ${front.has(point) ? "On the front. " : ""}${point.source}.`;
  };

  const panels = [];
  const makePanel = (title, study) => {
    const section = element("div", { class: "panel" });
    const heading = element("h3", {}, title);
    const controls = element("div", { class: "controls" });
    const named = (list) => [[ALL, "all"], ...list.map((name) => [name, name])];
    const studies = select("Study", named(values("study", data.points)), study);
    const tasks = select("Task", [], ""), models = select("Model", [], "");
    controls.append(studies.box, tasks.box, models.box);
    const chart = draw("svg", { class: "chart", tabindex: 0, role: "application" });
    const readout = element("p", { class: "readout", role: "status" });
    section.append(heading, controls, chart, readout);
    const panel = { section, title, chart, readout, studies, tasks, models, chosen: -1, list: [] };
    const inStudy = () => data.points.filter((p) => studies.made.value === ALL || p.study === studies.made.value);
    panel.refill = (first) => {
      const keepTask = first ? data.start[studies.made.value] ?? ALL : ALL;
      tasks.fill(named(values("task", inStudy())), keepTask);
      panel.refillModels();
    };
    panel.refillModels = () => {
      const left = inStudy().filter((p) => tasks.made.value === ALL || p.task === tasks.made.value);
      models.fill(named(values("model", left)), values("model", left).length === 1 ? values("model", left)[0] : ALL);
    };
    studies.made.addEventListener("change", () => { panel.refill(true); update(); });
    tasks.made.addEventListener("change", () => { panel.refillModels(); update(); });
    models.made.addEventListener("change", () => update());
    panel.points = (x, y, methods) => inStudy().filter((p) => (tasks.made.value === ALL || p.task === tasks.made.value)
      && (models.made.value === ALL || p.model === models.made.value) && methods.has(p.method) && x in p.values && y in p.values);
    // For a preset: a task of the panel's study whose points differ in both metrics; without any the panel is hidden.
    panel.suit = (x, y) => {
      const known = inStudy().filter((p) => x in p.values && y in p.values);
      const spread = (task) => new Set(known.filter((p) => task === ALL || p.task === task).map((p) => p.values[x])).size;
      section.hidden = !known.length;
      if (section.hidden || spread(tasks.made.value) > 1) return;
      tasks.made.value = values("task", known).reduce((best, task) => (spread(task) > spread(best) ? task : best));
      panel.refillModels();
    };
    chart.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step || !panel.list.length) return;
      event.preventDefault();
      choose(panel, (panel.chosen + step + panel.list.length) % panel.list.length);
    });
    panel.refill(true);
    panels.push(panel);
    return panel;
  };
  const choose = (panel, index) => {
    panel.chosen = index;
    panel.list.forEach(({ path }, place) => path.classList.toggle("chosen", place === index));
    panel.readout.textContent = panel.list[index].text;
  };

  const plot = (panel, points, shared, x, y) => {
    const { chart } = panel;
    const width = Math.max(280, chart.clientWidth || 480), height = Math.round(Math.min(420, Math.max(280, 0.72 * width)));
    const [left, right, top, bottom] = [58, width - 12, 14, height - 46];
    chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
    chart.setAttribute("height", height);
    chart.replaceChildren();
    panel.list = [];
    panel.chosen = -1;
    const front = new Set([...groups(points).values()].flatMap((group) => onFront(group, x, y)));
    chart.setAttribute("aria-label", `${panel.title}: ${axisName(y)} against ${axisName(x)}, ${points.length} points, ${front.size} on the front. Arrow keys step through the points.`);
    const rules = new Set([...groups(points).values()].map((group) => frontRule(group, x, y)));
    const reason = rules.has("paired") ? "by paired intervals" : rules.has("numbers") ? "by the numbers alone, without interval" : "";
    const counted = reason ? `${front.size} on the front, ${reason} (one front per task and model)` : `no front, since ${[x, y].some((key) => metrics.get(key).lower_is_better === null) ? "neither end of an axis is better" : "these points have no paired difference from full fine-tuning"}`;
    panel.readout.textContent = points.length ? `${points.length} points, ${counted}. Hover over a point, or use the arrow keys.` : "No point has both metrics under these filters.";
    if (!points.length) return front;
    const across = scale(x, shared, left, right), up = scale(y, shared, bottom, top);
    const text = (value, attributes) => { const t = draw("text", attributes); t.textContent = value; chart.append(t); };
    let last = -99;
    const [acrossTexts, upTexts] = [tickTexts(across.ticks, x), tickTexts(up.ticks, y)];
    for (const [index, tick] of across.ticks.entries()) {
      const place = across.place(tick);
      chart.append(draw("line", { class: "grid", x1: place, x2: place, y1: top, y2: bottom }));
      if (place - last > 46) { text(acrossTexts[index], { x: place, y: bottom + 17, "text-anchor": "middle" }); last = place; }
    }
    for (const [index, tick] of up.ticks.entries()) {
      const place = up.place(tick);
      chart.append(draw("line", { class: "grid", x1: left, x2: right, y1: place, y2: place }));
      text(upTexts[index], { x: left - 6, y: place + 4, "text-anchor": "end" });
    }
    text(axisName(x), { x: (left + right) / 2, y: height - 8, "text-anchor": "middle" });
    text(axisName(y), { x: 14, y: (top + bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 14 ${(top + bottom) / 2})` });
    for (const group of groups(points).values()) {
      if (!onFront(group, x, y).length) continue;
      // Start at the best x; each step extends to the x of the next, worse point, and the last one to the edge.
      const { lower_is_better } = metrics.get(x);
      const steps = onFront(group, x, y).sort((a, b) => (lower_is_better ? 1 : -1) * (a.values[x] - b.values[x]));
      const parts = steps.map((p, i) => `${i ? `H${across.place(p.values[x])}V` : `M${across.place(p.values[x])},`}${up.place(p.values[y])}`);
      const path = `${parts.join("")}H${lower_is_better ? right : left}`;
      chart.append(draw("path", { class: "front", d: path }));
    }
    for (const point of points) {
      const [px, py] = [across.place(point.values[x]), up.place(point.values[y])];
      const { colour } = marks.get(point.method);
      if (point.intervals[y]) chart.append(draw("line", { class: "bar", stroke: colour, x1: px, x2: px, y1: up.place(point.intervals[y][0]), y2: up.place(point.intervals[y][1]) }));
      if (point.intervals[x]) chart.append(draw("line", { class: "bar", stroke: colour, y1: py, y2: py, x1: across.place(point.intervals[x][0]), x2: across.place(point.intervals[x][1]) }));
    }
    const ordered = [...points].sort((a, b) => a.values[x] - b.values[x]);
    for (const point of ordered) {
      const holder = draw("g", { transform: `translate(${across.place(point.values[x]).toFixed(1)} ${up.place(point.values[y]).toFixed(1)})`, class: "point" });
      const path = shape(point.method, point.measured);
      if (front.has(point)) holder.append(draw("circle", { class: "ring", r: 9.5 }));
      holder.append(path);
      chart.append(holder);
      const index = panel.list.push({ path, point, text: described(point, x, y, front) }) - 1;
      holder.addEventListener("mouseenter", () => choose(panel, index));
      holder.addEventListener("click", () => choose(panel, index));
    }
    return front;
  };

  const list = element("div", { class: "tablebox" });
  const fillList = (shown, x, y) => {
    const table = element("table", { class: "rows-as-cards", role: "table" });
    const header = ["method", "setting", "model", "task", metrics.get(x).name, metrics.get(y).name, "less full (points, paired)", "front", "source"];
    const head = element("tr", { role: "row" });
    head.append(...header.map((name) => element("th", { scope: "col", role: "columnheader" }, name)));
    table.createTHead().setAttribute("role", "rowgroup");
    table.tHead.append(head);
    const body = table.createTBody();
    body.setAttribute("role", "rowgroup");
    for (const [point, isFront] of shown) {
      const interval = point.intervals[y] ? ` [${point.intervals[y].map((v) => Number(v.toPrecision(3))).join(", ")}]` : "";
      const cells = [point.method, point.setting || "–", point.model, point.task, show(point.values[x], x), show(point.values[y], y) + interval, difference(point), isFront ? "yes" : "no", point.source];
      const row = element("tr", { role: "row" });
      row.append(...cells.map((value, i) => { const cell = element("td", { role: "cell", "data-label": header[i] }); cell.append(element("span", {}, value)); return cell; }));
      body.append(row);
    }
    makeSortable(table);
    const tall = element("div", { class: "tall", tabindex: 0, role: "region", "aria-label": "Points shown above" });
    tall.append(table);
    list.replaceChildren(element("p", { class: "title" }, "The points shown above, with their sources."), tall);
  };

  const options = data.metrics.map(({ key, name }) => [key, name]);
  const xs = select("Across", options, "params_percent"), ys = select("Up", options, "accuracy");
  const chosen = new Set(marks.keys());
  const update = () => {
    const [x, y] = [xs.made.value, ys.made.value];
    const shown = panels.map((panel) => panel.points(x, y, chosen));
    const rows = panels.flatMap((panel, i) => {
      const front = plot(panel, shown[i], shown.flat(), x, y);
      return shown[i].map((point) => [point, front.has(point)]);
    });
    fillList(rows, x, y);
  };
  const metricsBox = element("div", { class: "controls" });
  metricsBox.append(xs.box, ys.box);
  const methodsBox = element("details");
  const methodsField = element("fieldset");
  methodsBox.open = !window.matchMedia("(max-width: 43rem)").matches;
  methodsBox.append(element("summary", {}, "Methods"), methodsField);
  methodsField.append(element("legend", {}, "Filled: measured here. Open: published or added. Ringed: on the front."));
  const boxes = element("div", { class: "methods" });
  const all = element("button", { type: "button" }, "all or none");
  for (const { name } of data.methods) {
    const label = element("label");
    const box = element("input", { type: "checkbox", value: name });
    box.checked = true;
    box.addEventListener("change", () => { box.checked ? chosen.add(name) : chosen.delete(name); update(); });
    const swatch = draw("svg", { width: 18, height: 18, viewBox: "-9 -9 18 18", "aria-hidden": "true" });
    swatch.append(shape(name, true));
    label.append(box, swatch, name);
    boxes.append(label);
  }
  all.addEventListener("click", () => {
    const none = chosen.size > 0;
    for (const box of boxes.querySelectorAll("input")) { box.checked = !none; none ? chosen.delete(box.value) : chosen.add(box.value); }
    update();
  });
  boxes.append(all);
  methodsField.append(boxes);
  const grid = element("div", { class: "panels" });
  const measured = data.points.find((point) => point.measured);
  grid.append(...[["Left", measured?.study ?? ALL], ["Right", PUBLISHED]].map(([title, study]) => makePanel(`${title} panel`, study).section));
  // Presets: axes, and for the first one the cheapest method within two points of full fine-tuning in the left panel.
  const POINTS_LOST = 2;
  const presets = element("div", { class: "presets" });
  const preset = (name, x, y, then = () => {}) => {
    if (![x, y].every((key) => metrics.has(key))) return;
    const button = element("button", { type: "button" }, name);
    button.addEventListener("click", () => { xs.made.value = x; ys.made.value = y; panels.forEach((panel) => panel.suit(x, y)); update(); then(); });
    presets.append(button);
  };
  preset(`Cheapest within ${POINTS_LOST} points of full`, "params_percent", "accuracy", () => {
    const [left] = panels;
    const full = left.list.find(({ point }) => point.method === "full");
    if (!full) { left.readout.textContent = "Full fine-tuning is not among the points of the left panel."; return; }
    const rivals = left.list.map(({ point }, index) => ({ point, index }))
      .filter(({ point }) => point.model === full.point.model && point.task === full.point.task && point.method !== "full");
    const compared = rivals.filter(({ point }) => point.against_full);
    const near = compared.filter(({ point }) => point.against_full[1] >= -POINTS_LOST);
    const cheapest = (list) => list.reduce((best, one) => (one.point.values.params_percent < best.point.values.params_percent ? one : best));
    const counted = `Shown to be within ${POINTS_LOST} points of full fine-tuning, the whole paired interval above -${POINTS_LOST}: ${near.length} of ${compared.length} settings.`;
    if (near.length) {
      choose(left, cheapest(near).index);
      left.readout.textContent = `${counted} The cheapest: ${left.readout.textContent}`;
      return;
    }
    const hints = compared.filter(({ point }) => point.against_full[0] >= -POINTS_LOST);
    if (hints.length) choose(left, cheapest(hints).index);
    left.readout.textContent = hints.length ? `${counted} By the mean alone, which is no more than a hint, the cheapest: ${left.readout.textContent}` : counted;
  });
  preset("Best rates", "learning_rate", "accuracy");
  preset("Ranks", "rank", "accuracy");
  preset("Time against accuracy", "seconds", "accuracy");
  root.replaceChildren(presets, metricsBox, methodsBox, grid, list);
  for (const made of [xs.made, ys.made]) made.addEventListener("change", () => { for (const panel of panels) panel.section.hidden = false; update(); });
  let width = 0;
  new ResizeObserver(() => { if (root.clientWidth !== width) { width = root.clientWidth; update(); } }).observe(root);
})();
