"use strict";
// The planner: the closed form of peft_atlas.planning for transformers with peft, and the panel that asks it.
// Names and order follow src/peft_atlas/planning/{closed_form,moments,counts,methods,planner}.py, where each term is
// explained; tests/browser/test_planner.py compares both on random inputs. All sizes are bytes.
(() => {
  const root = document.getElementById("planner");
  if (!root) return;
  const data = JSON.parse(document.getElementById("planner-data").textContent);
  const byKey = (rows) => new Map(rows.map((row) => [row.key, row]));
  const sum = (list, size) => list.reduce((total, one) => total + size(one), 0);
  const whole = (a, b) => (a - (a % b)) / b;
  // Python's round: a tie goes to the even neighbour.
  const round = (x) => { const low = Math.floor(x); return x - low === 0.5 ? low + (low % 2) : Math.round(x); };

  // ---- Models and methods ----
  const linearOf = ([inputs, outputs, source, kinds, copies, stacked]) =>
    ({ inputs, outputs, source: data.sources[source], kinds, copies, stacked, weights: inputs * outputs * copies });
  const normOf = ([kind, width, rows, shares = 0]) => ({ kind, width, rows, shares });
  const attentionOf = ([heads, kv, size, fused, rotary, softcap, upcast]) =>
    ({ heads, kv, fused, rotary, softcap, upcast, width: heads * size, kvWidth: kv * size });
  const blockOf = (block) => ({
    ...block, linears: block.linears.map(linearOf), norms: block.norms.map(normOf), attentions: block.attentions.map(attentionOf),
    feed: { width: block.feed[0], gated: block.feed[1], activation: block.feed[2], experts: block.feed[3] },
  });
  const models = new Map(data.models.map((model) =>
    [model.name, { words: 0, head: 0, biases: 0, ...model, blocks: model.blocks.map(blockOf), outer: model.outer.map(normOf) }]));
  const methods = byKey(data.methods), precisions = byKey(data.precisions);

  const lowRank = ({ inputs, outputs }, r) => r * (inputs + outputs);
  const factors = (n) => { let small = Math.floor(Math.sqrt(n)); while (n % small) small -= 1; return [small, n / small]; };
  const lokr = ({ inputs, outputs }, r) => {
    const [outSmall, outLarge] = factors(outputs), [inSmall, inLarge] = factors(inputs);
    return outSmall * inSmall + (r < Math.max(outLarge, inLarge) / 2 ? r * (outLarge + inLarge) : outLarge * inLarge);
  };
  const bases = ({ inputs, outputs }, r) => Math.ceil(Math.min(inputs, outputs) / r);
  const oftBlock = ({ inputs }, r) => {
    if (inputs % r) throw new Error(`${r} blocks do not divide ${inputs.toLocaleString("en")} inputs of a matrix evenly.`);
    return inputs / r;
  };
  // Trained parameters of one matrix, by method; r is the rank or what the method has in its place.
  const COUNT = {
    "lora": lowRank, "rslora": lowRank, "hira": lowRank, "gralora": lowRank, "shira": lowRank, "lokr": lokr,
    "dora": (l, r) => lowRank(l, r) + l.outputs, "lora-fa": (l, r) => r * l.outputs, "adalora": (l, r) => lowRank(l, r) + r,
    "loha": (l, r) => 2 * lowRank(l, r), "fourierft": (l, r) => r, "delora": (l, r) => lowRank(l, r) + 1,
    "oft": (l, r) => { const side = oftBlock(l, r); return r * ((side * (side - 1)) / 2); },
    "ia3": (l) => (l.source === "feed-forward product" ? l.inputs : l.outputs), "vera": (l, r) => r + l.outputs,
    "miss": (l, r) => r * l.outputs, "c3a": (l, r) => whole(l.weights, r), "road": (l) => 2 * l.outputs,
    "pvera": (l, r) => 2 * r + l.outputs, "randlora": (l, r) => bases(l, r) * (r + Math.min(l.inputs, l.outputs)), "beft": (l) => l.outputs,
  };

  // ---- Counts ----
  const tokenParameters = ({ method, model, rank }) => {
    const sides = model.task === "seq2seq" ? 2 : 1, { hidden } = model;
    if (method.key === "prompt") return sides * rank * hidden;
    if (method.key === "p-tuning") return sides * rank * hidden + 3 * (hidden * hidden + hidden);
    const [block] = model.blocks;
    return block.layers * rank * 2 * (model.task === "seq2seq" ? hidden : block.attentions[0].kvWidth);
  };
  const storedFactors = ({ method, rank, linears }) => {
    if (!["vera", "pvera", "randlora"].includes(method.key)) return 0;
    const widest = (side) => Math.max(...linears.map(([, linear]) => linear[side]));
    const [into, out] = [widest("inputs"), widest("outputs")];
    return method.key === "randlora" ? into * out : rank * (into + out);
  };
  const frozenFactors = ({ method, rank, linears }) => {
    const each = { "lora-fa": (l) => rank * l.inputs, "adalora": () => 1 }[method.key] ?? (() => 0);
    return sum(linears, ([block, linear]) => block.layers * each(linear));
  };
  const countsOf = (s) => {
    const { model, method, rank } = s;
    if (method.acts === "everything") return { trained: model.size, added: 0, stored: 0 };
    const adapter = { tokens: () => tokenParameters(s), norms: () => model.norms, biases: () => model.biases,
      linear: () => sum(s.linears, ([block, linear]) => block.layers * COUNT[method.key](linear, rank)) }[method.acts]();
    const trained = adapter + (model.task === "labels" ? model.head : 0);
    return { adapter, trained, added: method.acts === "biases" ? 0 : trained + frozenFactors(s), stored: storedFactors(s) };
  };

  // ---- What one token keeps in a layer ----
  const normBytes = (norm, s) => {
    const width = norm.width * norm.rows;
    if (norm.kind === "layer") return 8 * norm.rows + (norm.shares ? 0 : (s.casts ? 4 : s.weight) * width);
    const kept = 4 * width + 4 * norm.rows;
    return s.trainsNorms ? kept + (norm.kind === "gemma" ? 4 : s.weight) * width : kept;
  };
  const attentionBytes = ({ heads, kv, width, kvWidth, ...at }, s) => {
    const shared = kv !== heads && (s.eager || kv > 1), repeated = shared ? width : kvWidth, fused = width + 2 * kvWidth;
    let kept = width + 2 * repeated;
    if (at.fused && !at.rotary) kept = fused;
    else if (at.fused && !shared && !s.eager) kept = width + repeated + fused;
    if (!s.eager) return s.compute * (kept + width) + 4 * heads;
    const scores = s.compute + (at.upcast && s.compute === 2 ? 4 : 0) + (at.softcap ? s.compute : 0);
    return s.compute * kept + heads * s.sequence * scores + (s.trainsAll ? s.compute * width : 0);
  };
  const feedForwardBytes = ({ width, gated, activation, experts }, hidden, s) => {
    const kept = ["gelu_new", "gelu_fast"].includes(activation) ? 4 : 1, chosen = Math.max(experts, 1);
    const product = s.trainsAll && !(activation === "relu" && !gated) ? 1 : 0;
    const total = s.compute * width * ((gated ? kept + 2 : kept) + product) * chosen;
    return experts ? total + s.compute * hidden * chosen * (s.trainsAll ? 2 : 1) : total;
  };
  const inputBytes = (block, s) => {
    if (!s.trainsAll) return 0;
    const readers = new Set(block.linears.filter((linear) => !linear.stacked).map((linear) => linear.source));
    const kept = ["attention output", "feed-forward product", "router"];
    const outputs = [...readers].filter((source) => !kept.includes(source) && !source.endsWith(" output")).length;
    return s.compute * block.hidden * (block.shared ? 1 : Math.max(outputs, block.feed.experts ? 2 : 0));
  };
  const layerBytes = (block, s) => sum(block.norms, (norm) => normBytes(norm, s)) + sum(block.attentions, (one) => attentionBytes(one, s))
    + feedForwardBytes(block.feed, block.hidden, s) + inputBytes(block, s) + block.dropouts * block.hidden;
  // Matrices that read the same tensor share one copy; that of the attention's output is kept already.
  const sharedInputs = (linears) => {
    const read = new Map(linears.filter((l) => l.source !== "attention output").map((l) => [l.source, l.inputs]));
    return sum([...read.values()], (inputs) => inputs);
  };
  const narrow = (linear, s) => bases(linear, s.rank) * s.rank;
  const resultBytes = (linear, s) => {
    if (s.method.key === "ia3" && linear.source === "feed-forward product") return Math.max(s.adapter, s.compute) * linear.inputs;
    const wide = (s.keeps.outputs * s.adapter + s.keeps.base_outputs * s.compute) * linear.outputs;
    return s.keeps.narrow ? wide + s.keeps.narrow * s.adapter * narrow(linear, s) : wide;
  };
  const adapterBytes = (linears, s) => {
    const size = s.casts ? s.compute : s.adapter, anew = s.adapter !== s.compute || s.casts;
    const total = sum(linears, (linear) => s.keeps.rank * size * s.rank + resultBytes(linear, s));
    const inputs = size * (anew ? sum(linears, (linear) => linear.inputs) : sharedInputs(linears));
    return total + (s.keeps.base_inputs ? s.compute * sharedInputs(linears) : 0) + s.keeps.inputs * inputs;
  };
  const deltaBytes = (linears, s) => {
    const size = s.keeps.delta * s.adapter + s.keeps.base_delta * s.compute;
    let made = size * sum(linears, (linear) => linear.inputs * linear.outputs);
    if (s.keeps.narrow) made += s.keeps.narrow * s.adapter * sum(linears, (linear) => narrow(linear, s) ** 2);
    if (s.keeps.blocks) made += s.keeps.blocks * s.adapter * sum(linears, (linear) => linear.inputs * oftBlock(linear, s.rank));
    return made;
  };
  const prefixBytes = ({ attentions: [{ width, kvWidth }] }, s) =>
    (s.method.key === "prefix" ? s.batch * s.rank * (2 * width * s.compute + 2 * kvWidth * (s.adapter + s.compute)) : 0);
  const adapted = (block, s) => s.linears.filter(([owner]) => owner === block).map(([, linear]) => linear);
  const addedBytes = (block, s) =>
    s.length * adapterBytes(adapted(block, s), s) + deltaBytes(adapted(block, s), s) + prefixBytes(block, s);

  // ---- What is alive at each moment of a step ----
  const matrixWeights = ({ blocks }) => sum(blocks, (block) => block.layers * sum(block.linears, (linear) => linear.weights));
  const frozenBytes = (s) => {
    const matrices = matrixWeights(s.model), stored = s.counts.stored * s.adapter;
    return (s.model.size - matrices) * s.weight + (s.quantised ? round(matrices * s.quantised) : matrices * s.weight) + stored;
  };
  const castBytes = (s) => 2 * ((s.key === "bf16-mixed" ? matrixWeights(s.model) : 0)
    + (s.casts && s.adapter === 4 && !s.trainsAll ? s.counts.added : 0));
  const gradientBytes = (s) => s.counts.trained * s.trainedBytes;
  const rowsAndColumns = (s) => {
    const of = (block, linear, more) => block.layers * (linear.inputs + linear.outputs + more);
    if (!s.trainsAll) return sum(s.linears, ([block, linear]) => of(block, linear, 2 * s.rank));
    return sum(s.model.blocks, (block) => sum(block.linears, (linear) => linear.copies * of(block, linear, 0))) + s.model.words + s.model.hidden;
  };
  const optimizerBytes = (s) => ({
    "adamw": () => 2 * gradientBytes(s), "adamw-fused": () => 2 * gradientBytes(s), "sgd-momentum": () => gradientBytes(s),
    "adamw-8bit": () => round(2 * s.counts.trained * (1 + 4 / 256)), "adafactor": () => 4 * rowsAndColumns(s),
  }[s.optimizer] ?? (() => 0))();
  const blockBytes = (block, s) => {
    if (s.checkpointing) return [block.layers * s.length * s.weight * block.hidden, 0];
    const first = s.method.acts === "linear" && block === s.model.blocks[0] ? normBytes(block.norms[0], s) : 0;
    return [s.length * (block.layers * layerBytes(block, s) - first), block.layers * addedBytes(block, s)];
  };
  const savedBytes = (s) => {
    const outer = sum(s.model.outer, (norm) => normBytes(norm, s)), last = s.trainsAll ? s.compute * s.model.hidden : 0;
    const kept = s.model.blocks.map((block) => blockBytes(block, s));
    return [sum(kept, ([own]) => own) + s.length * (outer + last), sum(kept, ([, extra]) => extra)];
  };
  const logitBytes = ({ model, compute, length }) => {
    const [native, full] = data.logits;
    if (model.task === "labels") return 0;
    if (model.task === "seq2seq") return 4 * compute * model.words * length;
    return round(model.words * length * (compute * (native + (model.capped ? 1 : 0)) + 4 * full));
  };
  const heldLogits = ({ model, compute, length }) => (model.task === "labels" ? 0 : compute * model.words * length);
  const backwardBytes = (block, s) => {
    const { width, gated, experts } = block.feed;
    const vectors = (gated ? 3 : 2) * width * Math.max(experts, 1) + 2 * block.hidden;
    const restored = s.quantised ? s.compute * Math.max(...block.linears.map((l) => l.inputs * l.outputs)) : 0;
    const passing = s.keeps.passing ? Math.max(0, ...adapted(block, s).map((l) => s.keeps.passing * l.inputs * l.outputs + l.inputs ** 2)) : 0;
    return s.length * s.compute * vectors + restored + s.adapter * passing;
  };
  const momentsOf = (s) => {
    const still = { frozen_weights: frozenBytes(s), adapter: ["linear", "tokens"].includes(s.method.acts) ? s.counts.added * s.adapter : 0,
      gradients: 0, optimizer: optimizerBytes(s), activations: 0, adapter_inputs: 0, logits: 0, working: 0 };
    const [saved, added] = savedBytes(s), layers = Math.max(sum(s.model.blocks, (block) => block.layers), 1);
    const block = s.model.blocks.reduce((most, one) => (layerBytes(one, s) > layerBytes(most, s) ? one : most));
    const [alive, extra] = s.checkpointing ? [s.length * layerBytes(block, s), addedBytes(block, s)] : [0, 0];
    const working = backwardBytes(block, s) + alive + castBytes(s), gradients = gradientBytes(s), logits = heldLogits(s);
    const grown = { ...still, gradients, logits };
    return [
      ["the loss's backward pass begins", { ...still, activations: saved, adapter_inputs: added, logits: logitBytes(s), working: castBytes(s) }],
      ["a layer's backward pass", { ...still, activations: saved, adapter_inputs: added + extra, logits, working }],
      ["a layer's backward pass", { ...grown, activations: whole(saved, layers), adapter_inputs: whole(added, layers) + extra, working }],
      ["all gradients are there", { ...grown, working: s.trainsAll ? s.model.words * s.model.hidden * s.weight : 0 }],
      ["the optimiser's step", { ...grown, working: s.optimizer === "adamw" ? gradients : 0 }],
    ];
  };
  const total = (parts) => sum(Object.values(parts), (size) => size);
  const peakOf = (s) => momentsOf(s).reduce((most, one) => (total(one[1]) > total(most[1]) ? one : most));

  // ---- A plan ----
  const NOTHING = { inputs: 0, rank: 0, outputs: 0, base_outputs: 0, delta: 0, blocks: 0, base_inputs: 0, base_delta: 0, passing: 0, narrow: 0 };
  // Everything that follows from batch and sequence is set here, so that the search for the largest can change them.
  const withTokens = (s, batch, sequence) => {
    const length = (s.model.tokens ?? sequence) + (["prompt", "p-tuning"].includes(s.method.key) ? s.rank : 0);
    return { ...s, batch, sequence: length, length: batch * length };
  };
  const stepOf = ({ model: name, method: key, rank, batch, sequence, precision, optimizer, checkpointing, targets }) => {
    const model = models.get(name), method = methods.get(key), chosen = precisions.get(precision);
    const bit = 1 << data.kinds.indexOf(targets || method.targets);
    const linears = method.acts !== "linear" ? [] : model.blocks.flatMap((block) =>
      block.linears.filter((linear) => !linear.stacked && linear.kinds & bit).map((linear) => [block, linear]));
    const trainsAll = method.acts === "everything";
    const s = { ...chosen, model, method, rank, linears, optimizer, checkpointing, eager: Boolean(model.eager), trainsAll,
      keeps: { ...NOTHING, ...method.keeps }, trainsNorms: trainsAll || method.acts === "norms" };
    s.trainedBytes = ["everything", "norms", "biases"].includes(method.acts) ? s.weight : s.adapter;
    refuse(s, sequence);
    s.counts = countsOf(s);
    return withTokens(s, batch, sequence);
  };
  const refuse = ({ model, method, linears, quantised, trainsAll }, sequence) => {
    if (method.acts === "linear" && !linears.length) throw new Error(`${model.name} has no such matrix to adapt.`);
    if (trainsAll && quantised) throw new Error("Full fine-tuning needs a base that is not quantised: integers are not trained.");
    if (method.acts === "tokens" && (model.task === "labels" || !model.words)) throw new Error(`${method.name} is only known for models that predict every token of a text.`);
    if (method.acts === "biases" && !model.biases) throw new Error(`${model.name} has no biases to train.`);
    if (model.learned && sequence > model.positions) throw new Error(`${model.name} has ${model.positions.toLocaleString("en")} positions; the sequence is longer.`);
  };
  const certain = (card) => data.memory.least * card * data.memory.gib - data.memory.context;
  const verdictOf = (low, high, card) => {
    if (high <= certain(card)) return "fits";
    return low > data.memory.most * card * data.memory.gib ? "does not fit" : "cannot tell";
  };
  const bisectLargest = (holds, most) => {
    let [low, high] = [0, 1];
    while (high <= most && holds(high)) [low, high] = [high, 2 * high];
    high = Math.min(high, most + 1);
    while (high - low > 1) {
      const middle = whole(low + high, 2);
      if (holds(middle)) low = middle; else high = middle;
    }
    return low;
  };
  const plan = (input) => {
    const s = stepOf(input), { model, counts } = s, [moment, parts] = peakOf(s), peak = total(parts);
    const [low, high] = data.intervals[s.quantised ? "quantised" : "plain"];
    const fits = (batch, sequence) => total(peakOf(withTokens(s, batch, sequence))[1]) * high <= certain(input.card);
    return {
      trained: counts.trained, percent: (100 * counts.trained) / model.size, parts, moment, peak, low: round(peak * low), high: round(peak * high),
      verdict: verdictOf(round(peak * low), round(peak * high), input.card),
      batch: bisectLargest((batch) => fits(batch, input.sequence), data.limits.batch),
      sequence: model.tokens ? null : bisectLargest((sequence) => fits(input.batch, sequence), model.positions ?? data.limits.sequence),
      file: (counts.added || model.size) * (s.trainsAll ? s.weight : s.adapter),
    };
  };
  // For the console, and for the test against the Python code: a plan, or why there is none.
  root.plan = (input) => { try { return plan(input); } catch (problem) { return { error: problem.message }; } };

  // ---- The panel ----
  const form = root.querySelector("form"), field = (name) => form.elements[name];
  const gb = (size, digits = 1) => (size / 1e9).toFixed(digits);
  const interval = (found) => `${gb(found.peak)} [${gb(found.low)},\u00a0${gb(found.high)}]`;
  const count = (value) => value.toLocaleString("en");
  const largest = (value) => (value === null ? "fixed by the model" : value ? count(value) : "none");
  const element = (name, attributes, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const SAID = { "fits": "fits", "does not fit": "does not fit", "cannot tell": "may or may not fit" };
  const sentence = (input, found) => {
    const { name } = methods.get(input.method), tokens = models.get(input.model).tokens ?? input.sequence;
    return `${name[0].toUpperCase()}${name.slice(1)} on ${input.model}, ${count(input.batch)} × ${count(tokens)} tokens, ${SAID[found.verdict]} in ${input.card} GB: `
      + `the predicted peak is ${gb(found.peak)} GB, 90\u00a0% interval ${gb(found.low)} to ${gb(found.high)} GB.`;
  };
  const numberOf = (name, most, least = 1) => {
    const value = Number(field(name).value);
    const right = name === "card" ? value > 0 && value <= most : Number.isInteger(value) && value >= least && value <= most;
    field(name).setAttribute("aria-invalid", String(!right));
    if (!right) throw new Error(`${field(name).labels[0].textContent}: a ${name === "card" ? "number above 0" : `whole number from ${least}`} up to ${count(most)}, please.`);
    return value;
  };
  const inputOf = () => ({
    ...Object.fromEntries(["model", "method", "precision", "optimizer", "targets"].map((name) => [name, field(name).value])),
    card: numberOf("card", data.limits.card), rank: numberOf("rank", data.limits.rank), batch: numberOf("batch", data.limits.batch),
    sequence: numberOf("sequence", data.limits.sequence), checkpointing: field("checkpointing").checked,
  });
  const usesRank = ({ acts, unit }) => unit !== "unused" && ["linear", "tokens"].includes(acts);
  // What the fields say, for paper, on which they are not.
  const setting = (input) => {
    const method = methods.get(input.method);
    return [
      precisions.get(input.precision).name, input.optimizer, ...(usesRank(method) ? [`${method.unit} ${count(input.rank)}`] : []),
      ...(method.acts === "linear" ? [`on ${input.targets || method.targets}`] : []), `${input.checkpointing ? "" : "no "}checkpointing`,
    ].join(", ");
  };
  const showFacts = (input, found) => {
    const facts = [
      ["Setting", setting(input)],
      ["Trained parameters", `${count(found.trained)} (${Number(found.percent.toPrecision(3))} % of the base)`],
      ["Largest micro-batch at this length", largest(found.batch)], ["Longest sequence at this batch", largest(found.sequence)],
      ["Adapter file", `${(found.file / 1e6).toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 })} MB`], ["Peak occurs when", found.moment],
    ];
    root.querySelector("dl").replaceChildren(...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
  };
  const showParts = (found) => {
    let start = 0;
    const rows = Object.entries(found.parts).filter(([, size]) => size).map(([key, size]) => {
      const bar = element("span", {});
      bar.style.marginLeft = `${(100 * start) / found.peak}%`;
      bar.style.width = `${(100 * size) / found.peak}%`;
      start += size;
      return element("tr", {}, element("th", { scope: "row" }, data.parts[key]), element("td", { class: "number" }, gb(size, 2)), element("td", { class: "bar" }, bar));
    });
    root.querySelector(".parts tbody").replaceChildren(...rows);
    root.querySelector(".parts tfoot td").textContent = gb(found.peak, 2);
  };
  const showWays = (input) => {
    const tried = new Set();
    const rows = data.ways.flatMap(([name, checkpointing, precision]) => {
      const way = { ...input, checkpointing: checkpointing ?? input.checkpointing, precision: precision ?? input.precision };
      const found = root.plan(way), key = `${way.checkpointing} ${way.precision}`;
      if (tried.has(key) || found.error) return [];
      tried.add(key);
      const cells = [interval(found), found.verdict, largest(found.batch)];
      return [element("tr", {}, element("th", { scope: "row" }, name), ...cells.map((text) => element("td", {}, text)))];
    });
    root.querySelector(".ways tbody").replaceChildren(...rows);
  };
  const say = (text, verdict) => {
    const answer = root.querySelector(".verdict");
    answer.textContent = text;
    answer.dataset.verdict = verdict;
    root.querySelector(".planned").hidden = !verdict;
  };
  const update = () => {
    try {
      const input = inputOf(), found = plan(input);
      say(sentence(input, found), found.verdict);
      showFacts(input, found);
      showParts(found);
      showWays(input);
    } catch (problem) { say(problem.message, ""); }
  };
  // Which fields a method and a model use, and what a method calls its rank.
  const fit = () => {
    const method = methods.get(field("method").value), { tokens } = models.get(field("model").value);
    field("rank").labels[0].textContent = method.unit === "rank" || method.unit === "unused" ? "Rank" : method.unit[0].toUpperCase() + method.unit.slice(1);
    field("rank").disabled = !usesRank(method);
    field("targets").disabled = method.acts !== "linear";
    field("sequence").disabled = Boolean(tokens);
  };
  field("method").addEventListener("change", () => {
    const method = methods.get(field("method").value);
    field("rank").value = method.rank;
    if (method.acts !== "linear") field("targets").value = "";
  });
  form.addEventListener("input", () => { fit(); update(); });
  form.addEventListener("change", () => { fit(); update(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  fit();
  update();
})();
