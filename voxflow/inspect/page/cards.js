// A card for each array: on and off, opacity, channels, histogram, ids, and the value here.

function firstLook(volume, settings) {
  const { guess } = volume.meta;
  const over = guess !== "image";
  const taken = Object.values(settings).some((look) => look.on && look.over === over);
  return {
    on: over ? !taken : !taken,
    over,
    opacity: guess === "image" ? 1 : guess === "labels" ? 0.4 : 0.5,
    channel: volume.channels > 2 && !volume.ids && (guess === "affinities" || volume.channels === 3) ? "rgb" : 0,
    ...contrast(volume),
    picked: null,
  };
}

// All of it, but for the brightest and darkest thousandth of an image.
function contrast(volume) {
  if (volume.meta.guess !== "image") return { low: 0, high: 255 };
  const counts = volume.counts(0);
  const least = volume.voxels / 1000;
  let [low, high, seen] = [0, 255, 0];
  while (low < 255 && (seen += counts[low]) <= least) low++;
  seen = 0;
  while (high > low + 1 && (seen += counts[high]) <= least) high--;
  return { low, high: Math.max(high, low + 1) };
}

function makeCard(volume, look, number) {
  const toggle = make("input", { type: "checkbox", "aria-label": `show ${volume.meta.name}`, onchange: () => { look.on = toggle.checked; redraw(); paintCards(); } });
  toggle.checked = look.on;
  const value = make("span", { class: "value" });
  const opacity = make("input", { type: "range", min: 0, max: 1, step: 0.02, value: look.opacity, "aria-label": `opacity of ${volume.meta.name}`, oninput: () => { look.opacity = Number(opacity.value); redraw(); } });
  const card = make("div", { class: "card", "data-layer": volume.meta.name },
    make("div", { class: "row head" }, toggle, make("span", { class: "name" }, ...parts(volume.meta.name || "(root)")), number < 9 ? make("span", { class: "key", title: "key" }, String(number + 1)) : null, value),
    make("div", { class: "row" }, make("span", { class: "soft" }, "opacity"), opacity, volume.channels > 1 ? channelChoice(volume, look) : null),
  );
  card.showValue = (position) => {
    value.replaceChildren();
    const text = volume.valueText(position, look.channel);
    if (volume.ids && volume.place(position) >= 0) value.append(swatch(volume, volume.codes[(look.channel || 0) * volume.voxels + volume.place(position)]), " ");
    value.append(text);
  };
  card.refresh = () => { toggle.checked = look.on; card.classList.toggle("off", !look.on && !state.each); card.drawHistogram?.(); };
  if (volume.ids) card.append(idList(volume, look));
  else card.append(...histogram(volume, look, card));
  card.append(make("div", { class: "soft" }, howStored(volume.meta)));
  return card;
}

function howStored(meta) {
  const text = `${meta.dtype}, ${meta.guess}`;
  const coarse = meta.factors.some((factor) => factor > 1);
  return coarse ? `${text}; shown coarser by ${meta.factors.join(" × ")}` : text;
}

function channelChoice(volume, look) {
  const choices = Array.from({ length: volume.channels }, (_, channel) => make("option", { value: channel }, `channel ${volume.channelName(channel)}`));
  if (volume.channels > 2 && !volume.ids) choices.unshift(make("option", { value: "rgb" }, "RGB of 3"));
  const select = make("select", { "aria-label": `channel of ${volume.meta.name}`, onchange: () => { look.channel = select.value === "rgb" ? "rgb" : Number(select.value); redraw(); paintCards(); } }, ...choices);
  select.value = String(look.channel);
  return select;
}

function swatch(volume, code) {
  const mark = make("span", { class: "swatch" });
  const [red, green, blue, opacity] = volume.palette.subarray(4 * code, 4 * code + 4);
  mark.style.background = opacity ? `rgb(${red} ${green} ${blue})` : "transparent";
  return mark;
}

// The largest ids; a click fades all others, and goes there.
function idList(volume, look) {
  const counts = volume.counts(0);
  const order = Array.from(counts.keys()).filter((code) => volume.palette[4 * code + 3]).sort((a, b) => counts[b] - counts[a]);
  const list = make("div", { class: "ids" });
  for (const code of order.slice(0, 24)) {
    const text = volume.idText(code);
    list.append(make("button", { title: `${counts[code]} voxels here`, onclick: () => {
      look.picked = look.picked === text ? null : text;
      look.on = true;
      const place = volume.find(code);
      if (look.picked !== null && place) moveTo(place);
      redraw();
      paintCards();
    } }, swatch(volume, code), text));
  }
  return make("div", {}, make("div", { class: "soft" }, order.length > 24 ? `${order.length} ids, the largest:` : order.length === 1 ? "1 id" : `${order.length} ids`), list);
}

// Bars of brightness, and two limits that can be dragged.
function histogram(volume, look, card) {
  const canvas = make("canvas", { class: "histogram", "aria-label": `histogram of ${volume.meta.name}` });
  const text = make("div", { class: "soft" });
  card.drawHistogram = () => {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, canvas.clientWidth * ratio);
    canvas.height = Math.max(1, canvas.clientHeight * ratio);
    drawBars(canvas, volume.counts(look.channel === "rgb" ? 0 : look.channel), look);
    text.textContent = `black ${volume.brightnessText(look.low)}, white ${volume.brightnessText(look.high)}`;
  };
  let held = null;
  const drag = (event) => {
    const frame = canvas.getBoundingClientRect();
    const code = Math.round(((event.clientX - frame.left) / frame.width) * 255);
    held ??= Math.abs(code - look.low) < Math.abs(code - look.high) ? "low" : "high";
    if (held === "low") look.low = Math.max(0, Math.min(code, look.high - 1));
    else look.high = Math.min(255, Math.max(code, look.low + 1));
    card.drawHistogram();
    redraw();
  };
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); drag(event); });
  canvas.addEventListener("pointermove", (event) => { if (held !== null) drag(event); });
  canvas.addEventListener("pointerup", () => { held = null; });
  canvas.addEventListener("dblclick", () => { Object.assign(look, contrast(volume)); card.drawHistogram(); redraw(); });
  return [canvas, text];
}

function drawBars(canvas, counts, look) {
  const context = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const bars = Array.from({ length: 128 }, (_, i) => Math.log1p(counts[2 * i] + counts[2 * i + 1]));
  const most = Math.max(...bars, 1);
  const wide = canvas.width / 128;
  context.fillStyle = style.getPropertyValue("--bar");
  bars.forEach((bar, i) => { const high = (bar / most) * canvas.height; context.fillRect(i * wide, canvas.height - high, Math.max(1, wide - 0.5), high); });
  context.fillStyle = style.getPropertyValue("--accent");
  for (const limit of [look.low, look.high]) context.fillRect((limit / 255) * (canvas.width - 2), 0, 2 * (window.devicePixelRatio || 1), canvas.height);
}

/** A path that goes on in another line behind a slash, rather than within a name. */
function parts(path) {
  return path.split("/").flatMap((part, i) => (i ? ["/", make("wbr", {}), part] : [part]));
}
