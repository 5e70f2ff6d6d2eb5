const section = document.getElementById("live");
const part = name => section.querySelector(`[data-live="${name}"]`);

// Costs over the draws.

function unpacked(text) {
  return Float64Array.from(new Float32Array(Uint8Array.from(atob(text), letter => letter.charCodeAt(0)).buffer));
}

const count = told.n;
const draws = Object.fromEntries([
  ...Object.entries(told.draws).map(([name, parameter]) => [name, drawnAnew(parameter)]),
  ...Object.entries(told.arrays).map(([name, text]) => [name, unpacked(text)]),
]);

// The quantiles that numpy gives. Sorts the values.
function quantiles(values) {
  values.sort();
  return told.quantiles.map(share => {
    const place = share * (count - 1), k = Math.min(Math.floor(place), count - 2);
    return values[k] + (values[k + 1] - values[k]) * (place - k);
  });
}

const sliders = told.sliders.map(one => ({...one, input: section.querySelector(`#live-${one.id}`)}));
const valueOf = slider => slider.stops[Number(slider.input.value)][0];

function asked() {
  return Object.fromEntries(sliders.map(slider => [slider.id, valueOf(slider)]));
}

// Numbers that take the place of a rule of the workload: another function gives the cost then.
function given(at) {
  return ["range_bytes", "rate_per_s"].filter(name => {
    const slider = sliders.find(one => one.id === name);
    return slider.stops[slider.start][0] === null && at[name] !== null;
  }).join(" ");
}

const KEPT = 10000;
let kept = new Map();

// [quantiles of the CPU time of one event, of the host CPUs lost] of a strategy with the numbers `at`.
function costs(strategy, at) {
  const key = given(at), number = strategy.functions[key], id = `${number} ${Object.values(at).join(" ")}`;
  if (!kept.has(id)) {
    const dirty = at.dirty_fraction === null ? draws.dirty_fraction : new Float64Array(count).fill(at.dirty_fraction);
    const cost = COSTS[number], drawn = {...draws, dirty_fraction: dirty}, found = [];
    for (let i = 0; i < count; i++) {
      cost(at, drawn, i).forEach((value, k) => (found[k] ||= new Float64Array(count))[i] = value);
    }
    kept.set(id, found.map(quantiles));
  }
  return kept.get(id);
}

// The answer in words and as a table.

const costed = told.strategies.filter(one => one.refused === null);
const own = costed.find(one => one.id === told.own);
const usable = costed.filter(one => told.usable.includes(one.id)).sort((a, b) => (b === own) - (a === own));
const EQUAL = 1e-9;

function starred(text, strategy, at) {
  return text + (strategy.extrapolated[given(at)] ? "*" : "");
}

function eventText(strategy, at) {
  return starred(interval(costs(strategy, at)[0], "s"), strategy, at);
}

function lostText(strategy, at) {
  const lost = costs(strategy, at)[1];
  if (!lost) return "no rate is published";
  const text = starred(interval(lost, "1", told.logical_cpus), strategy, at);
  return strategy.at_most && at.rate_per_s === null && text.replace("*", "") !== "0" ? `at most ${text}` : text;
}

// The first of `among` that no other is cheaper than, by the median CPU time of one event.
function cheapest(among, at) {
  return among.reduce((best, one) => !best || costs(one, at)[0][1] < costs(best, at)[0][1] * (1 - EQUAL) ? one : best, null);
}

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function whole(text) {
  return element("span", text, {class: "iv"});
}

function sentence(lead, strategy, at, tail) {
  const lost = costs(strategy, at)[1] ? [", ", whole(lostText(strategy, at)), ` of ${told.logical_cpus} host CPUs`] : [];
  return [lead, element("code", strategy.id), ", ", whole(eventText(strategy, at)), " CPU time per event", ...lost, `${tail} `];
}

function named(strategy) {
  const notes = [strategy.state === "admissible" ? "" : strategy.state, strategy.needs].filter(Boolean);
  return strategy.id + (notes.length ? ` (${notes.join(", ")})` : "");
}

function showVerdict(at) {
  const best = cheapest(usable, at), words = [];
  if (!best) words.push("Nothing that this kernel has is safe here: none can be the cheapest.");
  else words.push(...sentence("Cheapest of the safe flushes that this kernel has: ", best, at, best === own ? "; it is what this kernel does here." : "; this kernel does not use it here."));
  if (own && best !== own) words.push(...sentence("What it does: ", own, at, "."));
  const other = cheapest(costed.filter(one => one.state === "admissible" && !usable.includes(one)), at);
  if (other && (!best || costs(other, at)[0][1] < costs(best, at)[0][1] * (1 - EQUAL))) {
    words.push(...sentence("Safe and cheaper, but not in this kernel: ", other, at, other.needs ? `; it ${other.needs}.` : "."));
  }
  part("verdict").replaceChildren(...words);
  part("verdict").dataset.cheapest = best ? best.id : "";
}

function showTable(at) {
  const best = cheapest(usable, at);
  const rows = [...costed].sort((a, b) => costs(a, at)[0][1] - costs(b, at)[0][1]);
  part("rows").replaceChildren(...rows.map(one => {
    const row = element("tr", undefined, one === best ? {class: "lead"} : {}), head = element("td");
    head.append(element("code", one.id));
    const here = [one.state, one.needs, one === own ? "what this kernel does" : ""].filter(Boolean).join(", ");
    row.append(head, element("td", eventText(one, at), {class: "iv"}), element("td", lostText(one, at), {class: "iv"}), element("td", here));
    return row;
  }), ...told.strategies.filter(one => one.refused !== null).map(one => {
    const row = element("tr"), head = element("td"), why = element("td", undefined, {colspan: 2});
    head.append(element("code", one.id));
    why.append(element("strong", "Refused:"), ` ${one.refused}`);
    row.append(head, why, element("td", [one.state, one.needs].filter(Boolean).join(", ")));
    return row;
  }));
}

// Curves over one of the numbers, the others as the sliders have them.

const POINTS = 33;
const SLICE_MS = 25;
const SMALLEST = 1e-15;
const HEIGHT = 340, TOP = 28, BOTTOM = 46, LEFT = 62, RIGHT = 18, NAMES = 200, NARROW = 560, LINE_HEIGHT = 15;

function span(slider) {
  const values = slider.stops.map(stop => stop[0]).filter(value => value !== null);
  return [Math.min(...values), Math.max(...values)];
}

function axis(slider) {
  const [low, high] = span(slider);
  const at = share => slider.linear ? low + share * (high - low) : low * Math.pow(high / low, share);
  const values = Array.from({length: POINTS}, (_, k) => at(k / (POINTS - 1)));
  return slider.whole ? [...new Set(values.map(Math.round))] : values;
}

function ticks(low, high, unit, linear, room) {
  if (linear) return [0, 0.2, 0.4, 0.6, 0.8, 1];
  const base = unit === "B" ? 1024 : 10, first = Math.floor(Math.log(low) / Math.log(base)) - 1;
  const steps = unit === "B" ? [1, 32] : high / low > 300 ? [1] : [1, 2, 5];
  const decades = [];
  for (let k = first; Math.pow(base, k) <= high; k++) decades.push(Math.pow(base, k));
  const found = decades.flatMap(decade => steps.map(step => step * decade)).filter(value => value >= low * 0.999 && value <= high * 1.001);
  const every = Math.ceil(found.length / room);
  return found.filter((_, k) => k % every === 0);
}

function tickText(value, unit) {
  const short = (number, name) => `${Number(number.toPrecision(3))}${name}`;
  if (unit !== "B" && unit !== "s") return value >= 10000 ? short(value / 1000, "k") : value < 1e-3 ? value.toExponential(0) : short(value, "");
  const [factor, name] = scaleOf(value * (1 + 1e-9), unit);
  return short(value / factor, ` ${name}`);
}

function drawn(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// Strategies that cost the same everywhere are one line, under what this kernel does where that is one of them.
function together(series) {
  const groups = [];
  for (const one of [...series].sort((a, b) => (b.strategy === own) - (a.strategy === own))) {
    const same = groups.find(group => group.strategies[0].state === one.strategy.state && group.median.every((value, k) => Math.abs(value - one.median[k]) <= 1e-6 * Math.abs(value)));
    if (same) same.strategies.push(one.strategy);
    else groups.push({...one, strategies: [one.strategy]});
  }
  return groups;
}

// Equal strategies one below the other, then why they are no choice.
function labels(group) {
  const [{state}] = group.strategies;
  return [...group.strategies.map((one, n) => (n ? "= " : "") + one.id), ...(state === "admissible" ? [] : [`(${state})`])];
}

// Where the lowest median changes hands, between two points in proportion to the logarithms.
function crossings(x, series, linear) {
  const logs = series.map(one => one.median.map(value => Math.log(Math.max(value, SMALLEST))));
  const least = k => logs.reduce((best, values, s) => values[k] < logs[best][k] ? s : best, 0);
  const found = [];
  for (let k = 0, first = series.length ? least(0) : 0; k + 1 < x.length && series.length > 1; k++) {
    const second = least(k + 1);
    if (logs[second][k + 1] >= logs[first][k + 1] - EQUAL) continue;
    const lead = [k, k + 1].map(at => logs[second][at] - logs[first][at]), share = lead[0] / (lead[0] - lead[1]);
    const where = linear ? x[k] + share * (x[k + 1] - x[k]) : x[k] * Math.pow(x[k + 1] / x[k], share);
    found.push({x: where, below: series[first].strategy, above: series[second].strategy});
    first = second;
  }
  return found;
}

// All costs of the curves take longer than a frame: they are worked out between frames, and given up where a slider moves.
let asking = 0;

function showCurves(at) {
  const mine = ++asking, slider = sliders.find(one => one.id === part("over").value), x = axis(slider);
  const wanted = costed.filter(one => one.drawn).flatMap(strategy => x.map(value => [strategy, {...at, [slider.id]: value}]));
  let done = 0;
  const go = () => {
    if (mine !== asking) return;
    for (const until = performance.now() + SLICE_MS; done < wanted.length && performance.now() < until; done++) costs(...wanted[done]);
    part("curves").setAttribute("aria-busy", done < wanted.length);
    if (done < wanted.length) setTimeout(go);
    else drawCurves(at, slider, x);
  };
  go();
}

function drawCurves(at, slider, x) {
  const rate = slider.id === "rate_per_s", unit = rate ? "1" : "s", here = at[slider.id];
  const series = costed.filter(one => one.drawn).map(strategy => {
    const bands = x.map(value => costs(strategy, {...at, [slider.id]: value})[rate ? 1 : 0]);
    return {strategy, low: bands.map(b => b[0]), median: bands.map(b => b[1]), high: bands.map(b => b[2])};
  });
  const safe = series.filter(one => one.strategy.state !== "inadmissible");
  const changes = crossings(x, [...safe].sort((a, b) => (b.strategy === own) - (a.strategy === own)), slider.linear);
  const sentences = changes.map(one => `${slider.title}: ${named(one.below)} is cheapest below ${quantity(one.x, slider.unit)}, ${named(one.above)} above.`);
  if (!sentences.length && safe.length) sentences.push(`${slider.title}: ${named(cheapest(safe.map(one => one.strategy).sort((a, b) => (b === own) - (a === own)), {...at, [slider.id]: x[0]}))} is cheapest everywhere, of those that cannot be ruled out here.`);
  part("changes").replaceChildren(...sentences.map(text => element("li", text)));
  draw(slider, x, unit, together(series), changes, here, rate ? "host CPUs lost" : "CPU time per event");
  part("plot").setAttribute("aria-label", `Curves of each strategy over ${slider.title.toLowerCase()}. ${sentences.join(" ")}`);
}

function draw(slider, x, unit, lines, changes, here, title) {
  const plot = part("plot"), width = Math.max(280, Math.floor(plot.parentElement.clientWidth)), wide = width >= NARROW;
  const right = width - (wide ? NAMES : RIGHT), floor = HEIGHT - BOTTOM;
  const all = lines.flatMap(one => [...one.low, ...one.high]).filter(value => value > 0 && Number.isFinite(value));
  const [low, high] = all.length ? [Math.min(...all) / 1.3, Math.max(...all) * 1.3] : [1e-9, 1];
  const [first, last] = [x[0], x[x.length - 1]];
  const across = value => LEFT + (right - LEFT) * (slider.linear ? (value - first) / (last - first) : Math.log(value / first) / Math.log(last / first));
  const up = value => floor - (floor - TOP) * Math.log(Math.max(value, low) / low) / Math.log(high / low);
  const points = values => values.map((value, k) => `${across(x[k]).toFixed(1)},${up(value).toFixed(1)}`);
  const path = (...parts) => `M${parts.flat().join("L")}`;
  const made = [drawn("path", {class: "frame", d: `M${LEFT},${TOP}V${floor}H${right}`})];
  for (const value of ticks(low, high, unit, false, 9)) {
    made.push(drawn("text", {x: LEFT - 8, y: up(value) + 4, "text-anchor": "end"}, tickText(value, unit)), drawn("path", {class: "grid", d: `M${LEFT},${up(value).toFixed(1)}H${right}`}));
  }
  for (const value of ticks(first, last, slider.unit, slider.linear, wide ? 8 : 5)) {
    made.push(drawn("text", {x: across(value), y: floor + 17, "text-anchor": "middle"}, tickText(value, slider.unit)), drawn("path", {class: "frame", d: `M${across(value).toFixed(1)},${floor}v4`}));
  }
  made.push(drawn("text", {x: (LEFT + right) / 2, y: HEIGHT - 6, "text-anchor": "middle"}, slider.title + (slider.unit === "1/s" ? " (1/s)" : "")));
  made.push(drawn("text", {x: 0, y: 12}, title));
  for (const one of changes) made.push(drawn("path", {class: "change", d: `M${across(one.x).toFixed(1)},${TOP}V${floor}`}));
  if (here !== null) made.push(drawn("path", {class: "here", d: `M${across(here).toFixed(1)},${TOP}V${floor}`}));
  lines.forEach((one, k) => {
    one.colour = `c${k % 6}`;
    made.push(drawn("path", {class: `band ${one.colour}`, d: `${path(points(one.low), points(one.high).reverse())}Z`}));
  });
  [...lines].reverse().forEach(one => {
    const dashed = one.strategy.state !== "admissible" ? " dashed" : "", thick = one.strategy === own ? " thick" : "";
    made.push(drawn("path", {class: `line ${one.colour}${dashed}${thick}`, d: path(points(one.median))}));
  });
  const ends = lines.map(one => ({one, texts: labels(one), y: up(one.median[one.median.length - 1])})).sort((a, b) => a.y - b.y);
  if (wide) {
    let next = TOP;
    for (const end of ends) {
      end.at = Math.max(end.y, next);
      next = end.at + LINE_HEIGHT * end.texts.length;
    }
    const over = Math.max(0, next - LINE_HEIGHT - floor);
    for (const {one, texts, y, at} of ends) {
      made.push(drawn("path", {class: `lead ${one.colour}`, d: `M${right},${y.toFixed(1)}L${right + 10},${(at - over).toFixed(1)}`}));
      made.push(...texts.map((text, n) => drawn("text", {x: right + 14, y: at - over + 4 + n * LINE_HEIGHT}, text)));
    }
  }
  part("names").replaceChildren(...(wide ? [] : ends.map(({one, texts}) => element("li", texts.join(" "), {class: one.colour}))));
  plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  plot.setAttribute("width", width);
  plot.setAttribute("height", HEIGHT);
  plot.replaceChildren(...made);
}

// What follows the sliders.

let waiting = false;

function show() {
  waiting = false;
  const at = asked();
  if (kept.size > KEPT) kept = new Map();
  for (const slider of sliders) {
    const text = slider.stops[Number(slider.input.value)][1];
    section.querySelector(`output[for="${slider.input.id}"]`).textContent = text;
    slider.input.setAttribute("aria-valuetext", text);
  }
  const moved = sliders.some(slider => Number(slider.input.value) !== slider.start);
  part("case").textContent = moved ? "With the numbers above, not those of the report:" : "The case of the report:";
  part("reset").disabled = !moved;
  showVerdict(at);
  showTable(at);
  showCurves(at);
}

function soon() {
  if (!waiting) requestAnimationFrame(show);
  waiting = true;
}

sliders.forEach(slider => {
  slider.input.value = slider.start;
  slider.input.addEventListener("input", soon);
});
part("over").addEventListener("input", soon);
part("reset").addEventListener("click", () => {
  sliders.forEach(slider => { slider.input.value = slider.start; });
  soon();
});
const next = document.getElementById("change");
if (next) next.closest("section").before(section);
const contents = document.querySelector('nav a[href="#change"]');
if (contents) contents.before(element("a", section.querySelector("h2").textContent, {href: "#live"}), "\n");
section.hidden = false;
show();
let lastWidth = section.clientWidth;
addEventListener("resize", () => {
  if (section.clientWidth !== lastWidth) soon();
  lastWidth = section.clientWidth;
});
