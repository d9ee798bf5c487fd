// How often which brightness is there, and two limits that can be dragged.

const BESIDE = 12; // pixels left and right, so that bars of the least and the greatest value are seen whole
const FEW = 16; // different values get wide bars, as high as they are frequent
const TOLD = 4; // and so many are told as numbers

function histogram(volume, look, card) {
  const canvas = make("canvas", { class: "histogram", "aria-label": `histogram of ${volume.meta.name}` });
  const shares = make("div", { class: "soft shares" });
  const limits = make("div", { class: "soft" });
  card.drawHistogram = () => {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, canvas.clientWidth * ratio);
    canvas.height = Math.max(1, canvas.clientHeight * ratio);
    const counts = countsSeen(volume, look.channel);
    drawHistogram(canvas, counts, look, ratio);
    shares.textContent = sharesText(volume, counts);
    limits.textContent = `black ${volume.brightnessText(look.low)}, white ${volume.brightnessText(look.high)}`;
  };
  let held = null;
  const drag = (event) => {
    const frame = canvas.getBoundingClientRect();
    const code = Math.round(((event.clientX - frame.left - BESIDE) / (frame.width - 2 * BESIDE)) * 255);
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
  return [canvas, shares, limits];
}

// Of the channel that is seen, or of the three.
function countsSeen(volume, channel) {
  if (channel !== "rgb") return volume.counts(channel);
  const [red, green, blue] = [0, 1, 2].map((one) => volume.counts(one));
  return red.map((count, code) => count + green[code] + blue[code]);
}

function codesThere(counts) {
  return Array.from(counts.keys()).filter((code) => counts[code]);
}

function sharesText(volume, counts) {
  const there = codesThere(counts);
  if (there.length > TOLD) return "";
  const all = there.reduce((sum, code) => sum + counts[code], 0);
  const shareText = (share) => Number(share < 1 ? share.toPrecision(2) : share.toFixed(1));
  return there.map((code) => `${volume.brightnessText(code)}: ${shareText((100 * counts[code]) / all)}%`).join(", ");
}

function drawHistogram(canvas, counts, look, ratio) {
  const context = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const wide = canvas.width - 2 * BESIDE * ratio;
  const at = (code) => BESIDE * ratio + (code / 255) * wide;
  context.fillStyle = style.getPropertyValue("--bar");
  for (const [code, high, broad] of barsOf(counts, wide, ratio)) {
    context.fillRect(at(code) - broad / 2, canvas.height * (1 - high), broad, canvas.height);
  }
  context.fillStyle = style.getPropertyValue("--accent");
  for (const limit of [look.low, look.high]) context.fillRect(at(limit) - ratio, 0, 2 * ratio, canvas.height);
}

// Of each bar its middle, its height up to 1, and its width.
function barsOf(counts, wide, ratio) {
  const there = codesThere(counts);
  if (there.length <= FEW) {
    const most = Math.max(...there.map((code) => counts[code]), 1);
    const gaps = there.slice(1).map((code, i) => ((code - there[i]) / 255) * wide);
    const broad = Math.max(ratio, Math.min(2 * (BESIDE - 2) * ratio, ...gaps.map((gap) => 0.8 * gap)));
    return there.map((code) => [code, Math.max(0.04, counts[code] / most), broad]);
  }
  const bars = Array.from({ length: 128 }, (_, i) => Math.log1p(counts[2 * i] + counts[2 * i + 1]));
  const most = Math.max(...bars, 1);
  return bars.map((bar, i) => [2 * i + 0.5, bar / most, Math.max(1, wide / 128 - 0.5)]);
}
