// An array of a file: three spatial axes, of which the first has one voxel in two dimensions.

const TYPES = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array };
const BACKGROUND = [0n, 2n ** 64n - 1n];
const MASK = 2n ** 64n - 1n;

class Volume {
  constructor(meta, codes, ids, box) {
    const flat = meta.shape.length === 2;
    this.meta = meta;
    this.codes = codes;
    this.shape = flat ? [1, ...meta.shape] : meta.shape;
    this.size = flat ? [box.end[0] - box.begin[0], ...meta.voxelSize] : meta.voxelSize;
    this.offset = flat ? [box.begin[0], ...meta.offset] : meta.offset;
    this.stride = [this.shape[1] * this.shape[2], this.shape[2], 1];
    this.voxels = this.shape[0] * this.stride[0];
    this.channels = Math.max(1, Math.round(codes.length / this.voxels));
    this.ids = ids;
    this.palette = ids && paletteOf(ids);
    this.counted = new Map();
  }

  static async load(file, number) {
    const meta = file.layers[number];
    const codes = new TYPES[meta.type](await unpack(meta.blob));
    const ids = meta.labels ? new BigUint64Array(await unpack(meta.blob + report.blobs)) : null;
    return new Volume(meta, codes, ids, boxOf(file));
  }

  // Where a world position lies in the codes of the first channel; -1 outside.
  place(position) {
    let place = 0;
    for (let axis = 0; axis < 3; axis++) {
      const index = Math.floor((position[axis] - this.offset[axis]) / this.size[axis]);
      if (index < 0 || index >= this.shape[axis]) return -1;
      place += index * this.stride[axis];
    }
    return place;
  }

  // The name of a channel: its place along each leading axis.
  channelName(channel) {
    const place = [];
    for (const count of [...this.meta.lead].reverse()) {
      place.unshift(channel % count);
      channel = Math.floor(channel / count);
    }
    return place.join(",");
  }

  idText(code) {
    const id = this.ids[code];
    return String(this.meta.signed ? BigInt.asIntN(64, id) : id);
  }

  valueText(position, channel) {
    const place = this.place(position);
    if (place < 0) return "outside";
    const base = (channel === "rgb" ? 0 : channel) * this.voxels;
    if (this.ids) return this.idText(this.codes[base + place]);
    const channels = channel === "rgb" ? [0, 1, 2] : [channel];
    const values = channels.map((c) => this.brightnessText(this.codes[c * this.voxels + place]));
    return values.join(" ");
  }

  brightnessText(code) {
    const { low, high, exact, factors } = this.meta;
    const value = low + ((high - low) * code) / 255;
    const same = exact && factors.every((factor) => factor === 1);
    const nothing = Math.abs(value) < (high - low) / 500; // half a step, as codes are
    return same ? String(code) : `≈ ${nothing ? 0 : Number(value.toPrecision(3))}`;
  }

  // How many voxels have each code, in one channel.
  counts(channel) {
    if (!this.counted.has(channel)) {
      const counts = new Uint32Array(this.ids ? this.ids.length : 256);
      const base = channel * this.voxels;
      for (let i = 0; i < this.voxels; i++) counts[this.codes[base + i]]++;
      this.counted.set(channel, counts);
    }
    return this.counted.get(channel);
  }

  // A voxel of an id, from the middle of all of them: its world position.
  find(code) {
    const wanted = Math.floor(this.counts(0)[code] / 2);
    let seen = 0;
    for (let i = 0; i < this.voxels; i++) {
      if (this.codes[i] === code && seen++ === wanted) {
        const index = [Math.floor(i / this.stride[0]), Math.floor(i / this.stride[1]) % this.shape[1], i % this.shape[2]];
        return index.map((n, axis) => this.offset[axis] + (n + 0.5) * this.size[axis]);
      }
    }
    return null;
  }
}

// Red, green, blue and 255 of each id, 0 of the background; as colours_of_ids in voxflow/pictures/ids.py.
function paletteOf(ids) {
  const palette = new Uint8Array(ids.length * 4);
  ids.forEach((id, i) => {
    if (BACKGROUND.includes(id)) return;
    let x = (id + 0x9e3779b97f4a7c15n) & MASK;
    x = ((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
    x = ((x ^ (x >> 27n)) * 0x94d049bb133111ebn) & MASK;
    const bits = Number((x ^ (x >> 31n)) & 0xffffffn);
    const hue = ((bits & 0xffff) / 0x10000) * 6;
    const light = 0.48 + (0.2 * (bits >> 16)) / 255;
    const chroma = 0.8 * (1 - Math.abs(2 * light - 1));
    [5, 3, 1].forEach((shift, channel) => {
      const turned = (((hue + shift - 2) % 6) + 6) % 6;
      const ramp = Math.min(1, Math.max(0, Math.abs(turned - 3) - 1));
      palette[4 * i + channel] = Math.round((light + chroma * (ramp - 0.5)) * 255);
    });
    palette[4 * i + 3] = 255;
  });
  return palette;
}

// What all arrays of a file cover, on three axes.
function boxOf(file) {
  const begin = [Infinity, Infinity, Infinity];
  const end = [-Infinity, -Infinity, -Infinity];
  for (const meta of file.layers || []) {
    const lead = 3 - meta.shape.length;
    meta.offset.forEach((offset, i) => {
      begin[lead + i] = Math.min(begin[lead + i], offset);
      end[lead + i] = Math.max(end[lead + i], offset + meta.extent[i]);
    });
  }
  for (let axis = 0; axis < 3; axis++) {
    if (!(end[axis] > begin[axis])) [begin[axis], end[axis]] = [0, 1];
  }
  return { begin, end };
}

function unitOf(file) {
  return (file.layers || []).map((meta) => meta.unit).find((unit) => unit) || "";
}

function isFlat(file) {
  return (file.layers || []).every((meta) => meta.shape.length === 2);
}

// The finest voxels of all arrays of a file along each axis, as they are in the file.
function stepOf(file) {
  const step = [Infinity, Infinity, Infinity];
  for (const meta of file.layers || []) {
    const lead = 3 - meta.shape.length;
    meta.voxelSize.forEach((size, i) => { step[lead + i] = Math.min(step[lead + i], size / meta.factors[i]); });
  }
  return step.map((size) => (Number.isFinite(size) ? size : 1));
}
