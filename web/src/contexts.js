/** Context inputs of a network (spec 7.3). */

import { NEIGHBOURS } from './neighbours.js';

/** Makes the inputs of the rows of one tile layer. */
export class Contexts {
  /**
   * @param {import('./tile.js').Tile} tile
   * @param {number} layer
   * @param {import('./network.js').Network} network
   * @param {Int8Array} classes step class of each row of the layer
   */
  constructor(tile, layer, network, classes) {
    this.tile = tile;
    this.layer = layer;
    this.start = tile.starts[layer];
    this.network = network;
    this.classes = classes;
    this.nearby = new EightBits(network.nearby, tile);
    this.own = network.own.map((list) => new EightBits(list, tile));
    /** The nearby channels of rows that are decoded. */
    this.bytes = tile.nearbyBytes(network.nearby.group, network.nearby.width);
  }

  /** Take note of rows whose integers are decoded now; `places` are places in the tile layer. */
  note(/** @type {Int32Array} */ places) {
    this.nearby.write(places, this.start, this.bytes, this.start * this.nearby.width, this.nearby.width, places);
  }

  /**
   * Write the inputs of rows.
   *
   * @param {Int32Array} places of the rows in the tile layer
   * @param {Int16Array} target
   * @param {number} stride between one row of inputs and the next
   */
  write(places, target, stride) {
    const { network } = this;
    let at = 0;
    this.#writePositions(places, target, stride);
    at += 6 * network.octaves;
    this.#writeLayer(places.length, target, at, stride);
    at += network.layerInputs;
    this.#writeNeighbours(places, target, at, stride);
    at += network.neighbours * (network.nearby.width + 1);
    for (const list of this.own) {
      list.write(places, this.start, target, at, stride);
      at += list.width;
    }
    if (network.stepClass === 0) return;
    for (let i = 0; i < places.length; i++, at += stride) target[at] = 128 + 8 * this.classes[places[i]];
  }

  #writePositions(
    /** @type {Int32Array} */ places,
    /** @type {Int16Array} */ target,
    /** @type {number} */ stride,
  ) {
    const width = 6 * this.network.octaves;
    if (width === 0) return;
    const encodings = this.tile.encodings(this.layer, this.network.octaves);
    for (let i = 0; i < places.length; i++) {
      const from = places[i] * width;
      for (let c = 0; c < width; c++) target[i * stride + c] = encodings[from + c];
    }
  }

  #writeLayer(
    /** @type {number} */ count,
    /** @type {Int16Array} */ target,
    /** @type {number} */ at,
    /** @type {number} */ stride,
  ) {
    const { layerInputs } = this.network;
    const set = Math.min(this.layer, layerInputs - 1);
    for (let i = 0; i < count; i++, at += stride) {
      for (let input = 0; input < layerInputs; input++) target[at + input] = input === set ? 255 : 0;
    }
  }

  #writeNeighbours(
    /** @type {Int32Array} */ places,
    /** @type {Int16Array} */ target,
    /** @type {number} */ first,
    /** @type {number} */ stride,
  ) {
    const { bytes } = this;
    const { neighbours, nearby } = this.network;
    const { width } = nearby;
    if (neighbours === 0) return;
    const { rows, codes, counts } = this.tile.neighbours(this.layer);
    for (let i = 0; i < places.length; i++) {
      const count = counts[places[i]];
      let at = first + i * stride;
      let place = NEIGHBOURS * places[i];
      for (let j = 0; j < neighbours; j++, place++) {
        if (j < count) {
          const from = rows[place] * width;
          for (let c = 0; c < width; c++) target[at + c] = bytes[from + c];
        } else {
          for (let c = 0; c < width; c++) target[at + c] = 128;
        }
        target[at + width] = codes[place];
        at += width + 1;
      }
    }
  }
}

/** The channels of a list, to 8 bits. */
class EightBits {
  constructor(
    /** @type {import('./network.js').ChannelList} */ { group, width, centre, shift },
    /** @type {import('./tile.js').Tile} */ tile,
  ) {
    this.width = width;
    this.values = tile.values(group);
    this.channels = tile.head.groups[group].channels;
    /** With these, `shr(v - centre_q6, shift)` is the floor of `(v + offset) * factor`. */
    this.offsets = Float64Array.from(centre, (c, i) => (shift[i] > 0 ? 2 ** (shift[i] - 1) : 0) - c);
    this.factors = Float64Array.from(shift, (s) => 2 ** -s);
  }

  /**
   * Write the channels of rows.
   *
   * @param {Int32Array} places of the rows, from row `start` on
   * @param {number} start
   * @param {Uint8Array | Int16Array} target
   * @param {number} at where those of the first row go
   * @param {number} stride from there to those of the next row
   * @param {Int32Array} [slots] which row of the target each one is; the i-th unless given
   */
  write(places, start, target, at, stride, slots) {
    const { width, values, channels, offsets, factors } = this;
    for (let i = 0; i < places.length; i++) {
      const from = (start + places[i]) * channels;
      const to = at + (slots ? slots[i] : i) * stride;
      for (let c = 0; c < width; c++) {
        const value = (values[from + c] + offsets[c]) * factors[c] + 128;
        target[to + c] = value < 0 ? 0 : value > 255 ? 255 : value;
      }
    }
  }
}

/**
 * Positional encodings of the rows of a tile layer (numerics 7).
 *
 * @param {import('./tile.js').Tile} tile
 * @param {number} layer
 * @param {number} octaves
 * @returns {Uint8Array} `6 * octaves` for each row
 */
export function encodePositions({ cells, origin, head, starts }, layer, octaves) {
  const [start, end] = [starts[layer], starts[layer + 1]];
  const encodings = new Uint8Array(6 * octaves * (end - start));
  const unit = 2 ** (4 - head.unitShift);
  for (let axis = 0; axis < 3; axis++) {
    const corner = origin[axis] - head.unitOffset[axis];
    for (let row = start, at = 2 * axis; row < end; row++) {
      const p = Math.min(Math.max(Math.floor((corner + cells[axis][row]) * unit), 0), 65535);
      for (let l = 0; l < octaves; l++, at += 6) {
        encodings[at] = triangle(p << l);
        encodings[at + 1] = triangle((p << l) + 2 ** 14);
      }
    }
  }
  return encodings;
}

/** A triangle wave of period 2^16, in 8 bits. */
function triangle(/** @type {number} */ phase) {
  const w = phase & 0xffff;
  return (w >= 2 ** 15 ? 2 ** 16 - 1 - w : w) >> 7;
}
