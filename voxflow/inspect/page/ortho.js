// Sections through the arrays of one file across all axes, laid over each other.

const NAMES = ["z", "y", "x"];
const PANELS = [
  { depth: 0, rows: 1, columns: 2, name: "yx" },
  { depth: 2, rows: 1, columns: 0, name: "yz" },
  { depth: 1, rows: 0, columns: 2, name: "zx" },
];
const THINNEST = 56; // CSS pixels of a panel

class Ortho {
  // layers: pairs of a volume and its settings, bottom first.
  constructor(file, title, room, layers) {
    this.file = file;
    this.layers = layers;
    this.box = boxOf(file);
    this.panels = (isFlat(file) ? PANELS.slice(0, 1) : PANELS).map((panel) => this.makePanel(panel));
    const extent = this.box.end.map((end, axis) => end - this.box.begin[axis]);
    const [wide, high] = isFlat(file) ? [extent[2], extent[1]] : [extent[2] + extent[0], extent[1] + extent[0]];
    this.scale = Math.min(room.width / wide, room.height / high);
    this.sides = extent.map((n) => Math.max(THINNEST, Math.round(n * this.scale)));
    const grid = make("div", { class: "panels" }, ...this.panels.map((panel) => panel.element));
    const [z, y, x] = this.sides.map((n) => `${n}px`);
    grid.style.gridTemplate = isFlat(file) ? `${y} / ${x}` : `${y} ${z} / ${x} ${z}`;
    this.element = make("div", { class: "ortho" }, title, grid);
    this.panels.forEach((panel) => this.sizePanel(panel));
  }

  makePanel(axes) {
    const canvas = make("canvas", { class: "picture", "data-panel": axes.name });
    const marks = make("canvas", { class: "marks" });
    const element = make("div", { class: "panel", tabindex: "0", "aria-label": `section ${axes.name}` }, canvas, marks, make("span", {}, axes.name));
    const panel = { ...axes, canvas, marks, element };
    element.dataset.depth = axes.depth;
    steer(this, panel);
    return panel;
  }

  sizePanel(panel) {
    const ratio = window.devicePixelRatio || 1;
    panel.width = this.sides[panel.columns];
    panel.height = this.sides[panel.rows];
    for (const canvas of [panel.canvas, panel.marks]) {
      canvas.width = Math.round(panel.width * ratio);
      canvas.height = Math.round(panel.height * ratio);
    }
  }

  // Where the world begins in a panel, and world units of a pixel of its canvas.
  view(panel) {
    const ratio = panel.canvas.width / panel.width;
    const unit = 1 / (this.scale * state.zoom * ratio);
    const middle = this.toOwn(state.middle);
    return {
      unit,
      left: middle[panel.columns] - (panel.canvas.width / 2) * unit,
      top: middle[panel.rows] - (panel.canvas.height / 2) * unit,
    };
  }

  // A world position, moved along where this file lies elsewhere than the first one.
  toOwn(position) {
    return position.map((value, axis) => value + this.shift[axis]);
  }

  get shift() {
    const first = boxOf(shownFile());
    if (this.file === shownFile()) return [0, 0, 0];
    const apart = first.begin.some((begin, axis) => this.box.begin[axis] >= first.end[axis] || this.box.end[axis] <= begin);
    return apart ? this.box.begin.map((begin, axis) => begin - first.begin[axis]) : [0, 0, 0];
  }

  toWorld(panel, event) {
    const ratio = panel.canvas.width / panel.width;
    const frame = panel.marks.getBoundingClientRect();
    const { unit, left, top } = this.view(panel);
    const position = [...state.position];
    position[panel.columns] = left + (event.clientX - frame.left) * ratio * unit - this.shift[panel.columns];
    position[panel.rows] = top + (event.clientY - frame.top) * ratio * unit - this.shift[panel.rows];
    return position;
  }

  draw() {
    for (const panel of this.panels) {
      this.drawPicture(panel);
      this.drawMarks(panel);
    }
  }

  drawPicture(panel) {
    const context = panel.canvas.getContext("2d", { willReadFrequently: true });
    const { width, height } = panel.canvas;
    const image = context.createImageData(width, height);
    const view = this.view(panel);
    const depth = this.toOwn(state.position)[panel.depth];
    for (const [volume, look] of this.layers) {
      if (!look.on || (look.over && state.hidden)) continue;
      const index = Math.floor((depth - volume.offset[panel.depth]) / volume.size[panel.depth]);
      if (index < 0 || index >= volume.shape[panel.depth]) continue;
      const rows = places(volume, panel.rows, view.top, view.unit, height);
      const columns = places(volume, panel.columns, view.left, view.unit, width);
      paint(image.data, volume, look, index * volume.stride[panel.depth], rows, columns);
    }
    context.putImageData(image, 0, 0);
  }

  drawMarks(panel) {
    const context = panel.marks.getContext("2d");
    const ratio = panel.canvas.width / panel.width;
    const { unit, left, top } = this.view(panel);
    context.clearRect(0, 0, panel.marks.width, panel.marks.height);
    const own = this.toOwn(state.position);
    const x = (own[panel.columns] - left) / unit;
    const y = (own[panel.rows] - top) / unit;
    context.strokeStyle = "rgba(255, 214, 70, 0.75)";
    context.lineWidth = ratio;
    context.beginPath();
    const gap = 7 * ratio;
    for (const [from, to] of [[0, x - gap], [x + gap, panel.marks.width]]) { context.moveTo(from, y); context.lineTo(Math.max(from, to), y); }
    for (const [from, to] of [[0, y - gap], [y + gap, panel.marks.height]]) { context.moveTo(x, from); context.lineTo(x, Math.max(from, to)); }
    context.stroke();
    if (panel === this.panels[0]) drawScale(context, panel, unit, ratio, unitOf(this.file));
    if (state.points) for (const graph of this.file.graphs) this.drawGraph(context, panel, graph, { unit, left, top, ratio });
  }

  drawGraph(context, panel, graph, { unit, left, top, ratio }) {
    const depth = this.toOwn(state.position)[panel.depth];
    const near = 2 * stepOf(this.file)[panel.depth];
    const lead = graph.points.length ? 3 - graph.points[0].length : 0;
    const at = (point, axis) => (axis < lead ? depth : point[axis - lead]);
    const spot = (point) => [(at(point, panel.columns) - left) / unit, (at(point, panel.rows) - top) / unit];
    const shown = graph.points.map((point) => Math.abs(at(point, panel.depth) - depth) <= near);
    context.strokeStyle = "rgba(0, 220, 255, 0.8)";
    context.fillStyle = "rgb(0, 220, 255)";
    context.beginPath();
    for (const [a, b] of graph.edges) {
      if (!shown[a] && !shown[b]) continue;
      context.moveTo(...spot(graph.points[a]));
      context.lineTo(...spot(graph.points[b]));
    }
    context.stroke();
    graph.points.forEach((point, i) => {
      if (!shown[i]) return;
      context.beginPath();
      context.arc(...spot(point), 3.5 * ratio, 0, 2 * Math.PI);
      context.fill();
    });
  }
}

// A bar of a round length, about a quarter of the panel.
function drawScale(context, panel, unit, ratio, name) {
  const most = (panel.canvas.width / 4) * unit;
  const power = 10 ** Math.floor(Math.log10(most));
  const length = [5, 2, 1].find((times) => times * power <= most) * power;
  const [wide, left, bottom] = [length / unit, 8 * ratio, panel.canvas.height - 9 * ratio];
  context.shadowColor = "black";
  context.shadowBlur = 3 * ratio;
  context.fillStyle = "white";
  context.fillRect(left, bottom, wide, 2.5 * ratio);
  context.font = `${11 * ratio}px system-ui, sans-serif`;
  context.fillText(`${short(length)} ${name}`.trim(), left, bottom - 4 * ratio);
  context.shadowBlur = 0;
}

// For each pixel of a row or column the place of its voxel on that axis, times its stride; or -1.
function places(volume, axis, begin, unit, count) {
  const found = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const index = Math.floor((begin + (i + 0.5) * unit - volume.offset[axis]) / volume.size[axis]);
    found[i] = index >= 0 && index < volume.shape[axis] ? index * volume.stride[axis] : -1;
  }
  return found;
}

// Lay one array over a picture of red, green, blue and opacity.
function paint(out, volume, look, start, rows, columns) {
  const { codes } = volume;
  const tables = volume.ids ? null : brightness(look);
  const rgb = look.channel === "rgb" && volume.channels > 2;
  const base = start + (look.channel === "rgb" ? 0 : look.channel) * volume.voxels;
  const [second, third] = rgb ? [volume.voxels, 2 * volume.voxels] : [0, 0];
  const colours = volume.ids ? paletteFor(volume, look) : null;
  let pixel = 0;
  for (const row of rows) {
    if (row < 0) { pixel += 4 * columns.length; continue; }
    for (const column of columns) {
      if (column >= 0) {
        const place = base + row + column;
        if (colours) {
          const entry = 4 * codes[place];
          mix(out, pixel, colours[entry], colours[entry + 1], colours[entry + 2], (look.opacity * colours[entry + 3]) / 255);
        } else {
          mix(out, pixel, tables[codes[place]], tables[codes[place + second]], tables[codes[place + third]], look.opacity);
        }
      }
      pixel += 4;
    }
  }
}

function mix(out, pixel, red, green, blue, opacity) {
  if (!opacity) return;
  const below = (out[pixel + 3] / 255) * (1 - opacity);
  const whole = below + opacity;
  out[pixel] = (out[pixel] * below + red * opacity) / whole;
  out[pixel + 1] = (out[pixel + 1] * below + green * opacity) / whole;
  out[pixel + 2] = (out[pixel + 2] * below + blue * opacity) / whole;
  out[pixel + 3] = whole * 255;
}

function brightness(look) {
  const table = new Uint8ClampedArray(256);
  const width = Math.max(1, look.high - look.low);
  for (let code = 0; code < 256; code++) table[code] = ((code - look.low) / width) * 255;
  return table;
}

// The colours of ids; where one was picked, the others fade.
function paletteFor(volume, look) {
  if (look.picked === null) return volume.palette;
  const faded = volume.palette.slice();
  const all = volume.ids.length;
  for (let code = 0; code < all; code++) if (volume.idText(code) !== look.picked) faded[4 * code + 3] *= 0.12;
  return faded;
}

// Mouse, pen and finger on a panel.
function steer(ortho, panel) {
  const { marks, element } = panel;
  let last = null;
  marks.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    marks.setPointerCapture(event.pointerId);
    element.focus({ preventScroll: true });
    last = [event.clientX, event.clientY];
    if (event.button === 0 && !event.shiftKey) moveTo(ortho.toWorld(panel, event));
    event.preventDefault();
  });
  marks.addEventListener("pointermove", (event) => {
    showValues(ortho, ortho.toWorld(panel, event));
    if (last === null) return;
    if (event.shiftKey || event.buttons === 4) {
      const unit = 1 / (ortho.scale * state.zoom);
      state.middle[panel.columns] -= (event.clientX - last[0]) * unit;
      state.middle[panel.rows] -= (event.clientY - last[1]) * unit;
      redraw();
    } else {
      moveTo(ortho.toWorld(panel, event));
    }
    last = [event.clientX, event.clientY];
  });
  const release = () => { last = null; };
  marks.addEventListener("pointerup", release);
  marks.addEventListener("pointercancel", release);
  marks.addEventListener("pointerleave", () => showValues(null, state.position));
  marks.addEventListener("dblclick", reset);
  marks.addEventListener("wheel", (event) => {
    event.preventDefault();
    const away = Math.sign(event.deltaY);
    if (event.ctrlKey || event.metaKey) zoomAt(ortho.toWorld(panel, event), away > 0 ? 1 / 1.25 : 1.25, panel);
    else if (away) stepBy(panel.depth, away);
  }, { passive: false });
}
