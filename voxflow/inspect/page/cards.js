// A card for each array: on and off, opacity, channels, its histogram or ids, and the value here.

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

/** A path that goes on in another line behind a slash, rather than within a name. */
function parts(path) {
  return path.split("/").flatMap((part, i) => (i ? ["/", make("wbr", {}), part] : [part]));
}
