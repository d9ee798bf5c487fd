// What is known of a file besides its voxels: loss, how it was made, attributes, warnings.

const SVG = "http://www.w3.org/2000/svg";

function makeFacts(file) {
  const parts = [];
  if (file.error) parts.push(texts("card warnings", [`cannot be read: ${file.error}`]));
  if (file.warnings.length) parts.push(texts("card warnings", file.warnings));
  const notes = [...file.notes, ...coarse(file)];
  if (notes.length) parts.push(texts("card notes soft", notes));
  if (report.files.some((each) => each.loss !== null)) parts.push(lossCard(file));
  const nodes = nodesCard(file);
  if (nodes) parts.push(nodes);
  if (file.graphs.length) parts.push(graphCard(file));
  if (file.token) parts.push(folded("How this batch was made", file.token));
  const attrs = Object.fromEntries(Object.entries(file.attrs));
  if (Object.keys(attrs).length) parts.push(folded("Attributes", attrs));
  for (const array of file.arrays) if (Object.keys(array.facts).length) parts.push(folded(array.name || "(root)", array.facts));
  return parts;
}

function texts(kind, lines) {
  return make("div", { class: kind }, ...lines.map((line) => make("p", {}, line)));
}

function coarse(file) {
  const lines = [];
  const names = (file.layers || []).filter((meta) => meta.factors.some((factor) => factor > 1)).map((meta) => meta.name || "(root)");
  if (names.length) lines.push(`Made coarser, so that this page stays small: ${names.join(", ")}.`);
  const hidden = report.files.length - report.shown.length;
  if (hidden) lines.push(`${report.shown.length} of ${report.files.length} files have pictures in this page.`);
  return lines;
}

// Nested values as a table; what has parts itself is folded.
function folded(title, value) {
  const body = make("details", { class: "card" }, make("summary", {}, title));
  body.append(nested(value));
  return body;
}

function nested(value) {
  if (value === null || typeof value !== "object") return make("span", {}, String(value));
  const rows = Object.entries(value).map(([name, entry]) => {
    const plain = entry === null || typeof entry !== "object" || Array.isArray(entry);
    return make("tr", {}, make("td", { title: name }, name), make("td", {}, plain ? written(entry) : nested(entry)));
  });
  return make("table", {}, ...rows);
}

function written(value) {
  if (Array.isArray(value)) return `[${value.map(written).join(", ")}]`;
  return value !== null && typeof value === "object" ? JSON.stringify(value) : String(value);
}

function graphCard(file) {
  const toggle = make("input", { type: "checkbox", "aria-label": "show graphs", onchange: () => { state.points = toggle.checked; redraw(); } });
  toggle.checked = state.points;
  const rows = file.graphs.map((graph) => {
    const more = graph.leftOut ? ` (${graph.leftOut} more are not in this page)` : "";
    return make("div", { class: "soft" }, `${graph.name}: ${graph.points.length} nodes, ${graph.edges.length} edges${more}`);
  });
  return make("div", { class: "card" }, make("div", { class: "row" }, toggle, make("span", { class: "name" }, "Graphs")), ...rows);
}

// The loss of all files; a click goes to one.
function lossCard(file) {
  const told = report.files.map((each, i) => ({ x: each.iteration ?? i, y: each.loss, i })).filter((each) => each.y !== null);
  const worst = told.reduce((a, b) => (b.y > a.y ? b : a));
  const own = file.lossText === null ? "not told" : file.lossText;
  const at = file.iteration === null ? "" : `iteration ${file.iteration}, `;
  const card = make("div", { class: "card" }, make("div", { class: "row" }, make("span", { class: "name", id: "loss" }, `${at}loss ${own}`),
    told.length > 1 ? make("button", { id: "worst", title: `loss ${short(worst.y)}`, onclick: () => choose(worst.i) }, "Highest loss") : null));
  if (told.length > 1) card.append(lossPlot(told, report.files.indexOf(file)));
  return card;
}

function lossPlot(told, current) {
  const [wide, high, edge] = [316, 120, 12];
  const [xs, ys] = [told.map((each) => each.x), told.map((each) => each.y)];
  const log = Math.min(...ys) > 0 && Math.max(...ys) > 20 * Math.min(...ys);
  const value = (y) => (log ? Math.log(y) : y);
  const spread = (v, all, from, to) => {
    const [least, most] = [Math.min(...all), Math.max(...all)];
    return most > least ? from + ((v - least) / (most - least)) * (to - from) : (from + to) / 2;
  };
  const spot = (each) => [spread(each.x, xs, edge, wide - edge), spread(value(each.y), ys.map(value), high - edge, edge)];
  const svg = drawn("svg", { class: "loss", viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": "loss of all files" });
  svg.append(drawn("polyline", { points: told.map((each) => spot(each).join(",")).join(" "), fill: "none", stroke: "var(--bar)", "stroke-width": 1.5 }));
  for (const each of told) {
    const [x, y] = spot(each);
    const here = each.i === current;
    const has = report.shown.includes(each.i);
    const dot = drawn("circle", { cx: x, cy: y, r: here ? 6 : 4, fill: here ? "var(--accent)" : has ? "var(--bar)" : "var(--card)", stroke: here ? "var(--card)" : "var(--bar)", "stroke-width": 1.5, "data-file": each.i });
    dot.append(drawn("title", {}, `${report.files[each.i].path}: loss ${report.files[each.i].lossText}`));
    dot.addEventListener("click", () => choose(each.i));
    svg.append(dot);
  }
  return svg;
}

function drawn(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
