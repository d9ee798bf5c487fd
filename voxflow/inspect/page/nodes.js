// What each node of a traced batch drew, and where a training has looked.

// All visits to nodes for the batch of a file, in their order; a click goes to one.
function nodesCard(file) {
  const visits = report.files.map((each, i) => ({ each, i })).filter(({ each }) => each.node !== null && (each === file || (each.batch !== null && each.batch === file.batch)));
  if (!visits.length) return null;
  const rows = visits.map(({ each, i }) => {
    const name = make("button", { class: "node", "data-file": i, title: each.path, onclick: () => choose(i) }, each.node);
    if (each === file) name.setAttribute("aria-current", "true");
    return make("tr", {}, make("td", {}, name), make("td", { class: "drew" }, each.drew || make("span", { class: "soft" }, "drew nothing")));
  });
  return make("div", { class: "card", id: "nodes" }, make("div", { class: "name" }, "What each node drew"), make("table", {}, ...rows));
}

function percent(share, digits = 1) { return `${(100 * share).toFixed(digits)} %`; }

function boxText([begin, end]) { return begin.map((value, axis) => `${short(value)}:${short(end[axis])}`).join(", "); }

function tableOf(titles, rows) {
  const head = make("tr", {}, ...titles.map((title) => make("th", {}, title)));
  return make("table", {}, head, ...rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell)))));
}

function lookedPart(run) {
  const parts = [make("h2", {}, `Where the training of ${run.path} has looked`)];
  if (run.note) parts.push(make("p", { class: "soft" }, run.note));
  if (run.picture) parts.push(make("img", { src: run.picture, alt: "how often each part of each source was read" }));
  if (!run.numbers) return parts;
  const { steps, sources, inputs, classes } = run.numbers;
  parts.push(make("p", {}, `${steps} steps. Red in the picture: never read.`));
  parts.push(tableOf(["source", "array", "reads", "times a voxel was read", "never read", "most of it in"], sources.map((of) => [
    of.name || of.source, of.key, String(of.visits),
    of.mean === null ? "" : `${short(of.mean)} on average, ${short(of.most)} at most`,
    of.never === null ? "" : percent(of.never), make("span", {}, ...of.never_boxes.map((box) => make("div", {}, boxText(box)))),
  ])));
  if (inputs.length) parts.push(tableOf(["input", "taken", "wanted", "sources"], inputs.map((one) => [`${one.node} ${one.number}`, percent(one.taken), percent(one.wanted), one.sources.join(", ")])));
  for (const [key, shares] of Object.entries(classes)) parts.push(tableOf([`class of ${key}`, "share"], Object.entries(shares).map(([value, share]) => [value, percent(share, 2)])));
  return parts;
}

function setUpLooked() {
  by("looked-button").hidden = !report.coverage.length;
  by("looked-button").addEventListener("click", () => {
    by("looked-body").replaceChildren(...report.coverage.flatMap(lookedPart));
    by("looked").showModal();
  });
}
