// What is shown now, and what changes it.

const state = {
  file: report.shown[0] ?? 0,
  beside: null,
  each: false, // every array for itself
  position: [0, 0, 0], // world
  middle: [0, 0, 0], // of the panels, world
  zoom: 1,
  hidden: false, // overlays
  points: true,
  looks: {}, // of arrays, by name: the same in all files
};
let orthos = [];
let cards = [];
let waiting = false;
const loaded = new Map();
const by = (id) => document.getElementById(id);

function shownFile() { return report.files[state.file]; }

function volumesOf(index) {
  if (!loaded.has(index)) {
    const file = report.files[index];
    loaded.set(index, Promise.all((file.layers || []).map((_, number) => Volume.load(file, number))));
  }
  return loaded.get(index);
}

function withLooks(volumes) {
  for (const volume of volumes) state.looks[volume.meta.name] ??= firstLook(volume, state.looks);
  return volumes.map((volume) => {
    const look = state.looks[volume.meta.name];
    if (look.channel !== "rgb" && look.channel >= volume.channels) look.channel = 0;
    return [volume, look];
  });
}

async function choose(index) {
  const before = boxOf(shownFile());
  state.file = index;
  const box = boxOf(shownFile());
  const inside = state.position.every((value, axis) => value >= box.begin[axis] && value <= box.end[axis]);
  if (!inside) { // the same place relative to the corner, as far as that is inside
    state.position = state.position.map((value, axis) => value - before.begin[axis] + box.begin[axis]);
    state.middle = middleOf(box);
    state.zoom = 1;
  }
  await build();
}

function middleOf(box) { return box.begin.map((begin, axis) => (begin + box.end[axis]) / 2); }

function reset() {
  state.zoom = 1;
  state.middle = middleOf(boxOf(shownFile()));
  moveTo(state.middle);
}

async function build() {
  const wanted = [state.file, ...(state.beside === null ? [] : [state.beside])];
  const all = await Promise.all(wanted.map(volumesOf));
  if (wanted[0] !== state.file) return; // chosen anew in between
  const layered = all.map(withLooks);
  const views = by("views");
  const width = views.clientWidth;
  const high = Math.max(260, window.innerHeight - 210);
  views.replaceChildren();
  orthos = [];
  layered.forEach((layers, i) => {
    const file = report.files[wanted[i]];
    if (!layers.length) return views.append(make("p", { class: "soft" }, nothing(file)));
    const sets = state.each ? layers.map((layer) => [layer]) : [layers];
    const room = roomFor(file, state.each ? sets.length * wanted.length : wanted.length, width, high);
    for (const set of sets) {
      const name = state.each ? set[0][0].meta.name || "(root)" : fileName(file);
      const title = make("h3", {}, name, " ", make("small", {}, told(file, state.each)));
      const shown = state.each ? set.map(([volume, look]) => [volume, alone(look)]) : set;
      orthos.push(new Ortho(file, title, room, shown));
      views.append(orthos.at(-1).element);
    }
  });
  buildSide(layered[0]);
  buildSliders();
  moveTo(state.position);
}

// The room of each of so many views, in as many columns as make them largest.
function roomFor(file, count, width, high) {
  const box = boxOf(file);
  const [z, y, x] = box.end.map((end, axis) => end - box.begin[axis]);
  const [wide, tall] = isFlat(file) ? [x, y] : [x + z, y + z];
  const rooms = Array.from({ length: count }, (_, i) => i + 1).map((columns) => ({
    width: (width - 14 * (columns - 1)) / columns - 8,
    height: Math.max(150, high / Math.ceil(count / columns) - 34),
  }));
  const scale = (room) => Math.min(room.width / wide, room.height / tall);
  return rooms.reduce((best, room) => (scale(room) > scale(best) ? room : best));
}

// An array for itself is opaque, whether it is on or not.
function alone(look) {
  return new Proxy(look, { get: (target, name) => (name === "on" ? true : name === "opacity" ? 1 : name === "over" ? false : target[name]) });
}

function nothing(file) {
  if (file.error) return `${file.path} cannot be read.`;
  return report.shown.includes(report.files.indexOf(file)) ? `${file.path} holds no arrays in two or three dimensions.` : `${file.path}: its arrays are not in this page, which would become too large.`;
}

function fileName(file) { return file.path.replace(/\/+$/, "").split("/").pop(); }

function told(file, brief) {
  if (brief) return state.beside === null ? "" : fileName(file);
  const facts = [file.iteration === null ? null : `iteration ${file.iteration}`, file.lossText === null ? null : `loss ${file.lossText}`];
  const apart = orthos.length && orthos[0].file !== file && new Ortho(file, "", { width: 1, height: 1 }, []).shift.some((n) => n !== 0);
  return [...facts, apart ? "lies elsewhere: shown at the same place from its corner" : null].filter((text) => text).join(", ");
}

function buildSide(layers) {
  cards = layers.map(([volume, look], number) => makeCard(volume, look, number));
  by("cards").replaceChildren(...cards);
  by("facts").replaceChildren(...makeFacts(shownFile()));
  paintCards();
  by("file-a").value = String(state.file);
  by("file-b").value = state.beside === null ? "" : String(state.beside);
  by("mode-over").setAttribute("aria-pressed", String(!state.each));
  by("mode-each").setAttribute("aria-pressed", String(state.each));
}

function paintCards() { for (const card of cards) card.refresh(); }

function buildSliders() {
  const file = shownFile();
  const [box, step] = [boxOf(file), stepOf(file)];
  const axes = !(file.layers || []).length ? [] : isFlat(file) ? [1, 2] : [0, 1, 2];
  by("sliders").replaceChildren(...axes.map((axis) => {
    const count = Math.max(1, Math.round((box.end[axis] - box.begin[axis]) / step[axis]));
    const slider = make("input", { type: "range", id: `slider-${NAMES[axis]}`, min: 0, max: count - 1, step: 1, "aria-label": `position ${NAMES[axis]}`, oninput: () => {
      const position = [...state.position];
      position[axis] = box.begin[axis] + (Number(slider.value) + 0.5) * step[axis];
      moveTo(position);
    } });
    return make("label", {}, NAMES[axis], slider, make("output", { id: `at-${NAMES[axis]}` }));
  }));
}

// Go to a world position, or to the nearest one inside.
function moveTo(position) {
  const file = shownFile();
  const [box, step] = [boxOf(file), stepOf(file)];
  state.position = position.map((value, axis) => Math.min(Math.max(value, box.begin[axis] + step[axis] / 2), Math.max(box.begin[axis], box.end[axis] - step[axis] / 2)));
  state.position.forEach((value, axis) => {
    const slider = by(`slider-${NAMES[axis]}`);
    if (!slider) return;
    const index = Math.floor((value - box.begin[axis]) / step[axis] + 1e-9);
    slider.value = String(index);
    by(`at-${NAMES[axis]}`).textContent = `${index} of ${Number(slider.max) + 1}, world ${short(value)} ${unitOf(file)}`.trimEnd();
  });
  showValues(null, state.position);
  redraw();
}

function stepBy(axis, count) {
  const position = [...state.position];
  position[axis] += count * stepOf(shownFile())[axis];
  moveTo(position);
}

function zoomAt(point, factor, panel) {
  const zoom = Math.min(64, Math.max(0.25, state.zoom * factor));
  const axes = panel ? [panel.rows, panel.columns] : [0, 1, 2];
  for (const axis of axes) state.middle[axis] = point[axis] + ((state.middle[axis] - point[axis]) * state.zoom) / zoom;
  state.zoom = zoom;
  redraw();
}

function showValues(ortho, position) {
  if (ortho && ortho.file !== shownFile()) return;
  for (const card of cards) card.showValue(position);
}

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    for (const ortho of orthos) ortho.draw();
  });
}

function turnFile(by) {
  const place = report.shown.indexOf(state.file);
  const next = report.shown[Math.min(Math.max(place + by, 0), report.shown.length - 1)];
  if (next !== undefined && next !== state.file) choose(next);
}

function activeAxis() {
  const panel = document.activeElement?.closest?.(".panel");
  return panel ? Number(panel.dataset.depth) : 0;
}

function setMode(each) { state.each = each; build(); }

function lastSection(end) {
  const [axis, box, position] = [activeAxis(), boxOf(shownFile()), [...state.position]];
  position[axis] = end ? box.end[axis] : box.begin[axis];
  moveTo(position);
}

const KEYS = {
  ",": () => stepBy(activeAxis(), -1), ".": () => stepBy(activeAxis(), 1),
  ArrowDown: () => stepBy(activeAxis(), -1), ArrowUp: () => stepBy(activeAxis(), 1),
  PageDown: () => stepBy(activeAxis(), -10), PageUp: () => stepBy(activeAxis(), 10),
  Home: () => lastSection(false), End: () => lastSection(true),
  ArrowLeft: () => turnFile(-1), ArrowRight: () => turnFile(1), "[": () => turnFile(-1), "]": () => turnFile(1),
  "+": () => zoomAt(state.position, 1.25), "=": () => zoomAt(state.position, 1.25), "-": () => zoomAt(state.position, 1 / 1.25),
  0: reset, a: () => setMode(!state.each), "?": () => by("keys").showModal(),
  " ": () => { state.hidden = !state.hidden; redraw(); },
  Escape: () => { for (const look of Object.values(state.looks)) look.picked = null; redraw(); },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const { target } = event;
  if (target.matches("select, textarea, input[type=text]")) return;
  const native = target.matches("input[type=range]") ? /^(Arrow|Page|Home|End)/ : target.matches("button, input, summary") ? /^( |Enter)$/ : null;
  if (native?.test(event.key)) return;
  let action = KEYS[event.key];
  if (/^[1-9]$/.test(event.key)) action = () => cards[Number(event.key) - 1]?.querySelector("input[type=checkbox]").click();
  if (!action) return;
  event.preventDefault();
  action();
});

function start() {
  const option = (index) => make("option", { value: index }, [fileName(report.files[index]), report.files[index].lossText === null ? "" : `loss ${report.files[index].lossText}`].filter((text) => text).join(", "));
  by("file-a").append(...report.files.map((_, i) => option(i)));
  by("file-b").append(make("option", { value: "" }, "nothing"), ...report.shown.map(option));
  by("file-a").addEventListener("change", (event) => choose(Number(event.target.value)));
  by("file-b").addEventListener("change", (event) => { state.beside = event.target.value === "" ? null : Number(event.target.value); build(); });
  for (const id of ["previous", "next", "compare"]) by(id).hidden = report.files.length < 2;
  by("compare").style.display = report.shown.length < 2 ? "none" : "";
  by("previous").addEventListener("click", () => turnFile(-1));
  by("next").addEventListener("click", () => turnFile(1));
  by("mode-over").addEventListener("click", () => setMode(false));
  by("mode-each").addEventListener("click", () => setMode(true));
  by("reset").addEventListener("click", reset);
  by("help").addEventListener("click", () => by("keys").showModal());
  setUpLooked();
  window.addEventListener("resize", () => build());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paintCards);
  const box = boxOf(shownFile() ?? { layers: [] });
  state.position = middleOf(box);
  state.middle = middleOf(box);
  build().then(() => { document.body.dataset.ready = "yes"; });
}

start();
