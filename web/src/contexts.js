/** Context inputs of a network (spec 7.3). */

import { NEIGHBOURS } from './neighbours.js';

/**
 * The channels of a list, to 8 bits.
 *
 * @param {import('./network.js').ChannelList} list
 * @param {Int32Array} values of the group
 * @param {number} channels of the group
 */
function quantiser({ width, centre, shift }, values, channels) {
  const offsets = Float64Array.from(centre, (c, i) => (shift[i] > 0 ? 2 ** (shift[i] - 1) : 0) - c);
  const factors = Float64Array.from(shift, (s) => 2 ** -s);
  /** Write the channels of `row` to `target`, from `at` on. */
  return (
    /** @type {number} */ row,
    /** @type {Uint8Array | Int16Array} */ target,
    /** @type {number} */ at,
  ) => {
    const from = row * channels;
    for (let c = 0; c < width; c++) {
      const value = Math.floor((values[from + c] + offsets[c]) * factors[c]) + 128;
      target[at + c] = value < 0 ? 0 : value > 255 ? 255 : value;
    }
  };
}

/** Makes the inputs of the rows of one tile layer. */
export class Contexts {
  /**
   * @param {import('./tile.js').Tile} tile
   * @param {number} layer
   * @param {import('./network.js').Network} network
   * @param {Int8Array} classes step class of each row of the layer
   */
  constructor(tile, layer, network, classes) {
    const { groups } = tile.head;
    const { group, width } = network.nearby;
    this.tile = tile;
    this.layer = layer;
    this.network = network;
    this.classes = classes;
    /** The nearby channels of rows that are decoded. */
    this.bytes = tile.nearbyBytes(group, width);
    this.remember = quantiser(network.nearby, tile.values(group), groups[group].channels);
    this.own = network.own.map((list) => ({
      width: list.width,
      write: quantiser(list, tile.values(list.group), groups[list.group].channels),
    }));
    this.layerInput = Math.min(layer, network.layerInputs - 1);
  }

  /** Take note of a row whose integers are decoded now. */
  note(/** @type {number} */ row) {
    this.remember(row, this.bytes, row * this.network.nearby.width);
  }

  /** Write the inputs of the row at place `i` of the tile layer to `target`, from `at` on. */
  write(
    /** @type {number} */ i,
    /** @type {Int16Array} */ target,
    /** @type {number} */ at,
  ) {
    const { network } = this;
    const row = this.tile.starts[this.layer] + i;
    at = this.#writePosition(row, target, at);
    for (let input = 0; input < network.layerInputs; input++) {
      target[at++] = input === this.layerInput ? 255 : 0;
    }
    at = this.#writeNeighbours(i, target, at);
    for (const { width, write } of this.own) {
      write(row, target, at);
      at += width;
    }
    if (network.stepClass) target[at] = 128 + 8 * this.classes[i];
  }

  /** Positional encoding (numerics 7). */
  #writePosition(
    /** @type {number} */ row,
    /** @type {Int16Array} */ target,
    /** @type {number} */ at,
  ) {
    const { octaves } = this.network;
    const { cells, origin, head } = this.tile;
    if (octaves === 0) return at;
    const unit = 2 ** (4 - head.unitShift);
    for (let axis = 0; axis < 3; axis++) {
      const cell = origin[axis] + cells[axis][row] - head.unitOffset[axis];
      const p = Math.min(Math.max(Math.floor(cell * unit), 0), 65535);
      for (let l = 0; l < octaves; l++) {
        target[at + 6 * l + 2 * axis] = triangle(p << l);
        target[at + 6 * l + 2 * axis + 1] = triangle((p << l) + 2 ** 14);
      }
    }
    return at + 6 * octaves;
  }

  #writeNeighbours(
    /** @type {number} */ i,
    /** @type {Int16Array} */ target,
    /** @type {number} */ at,
  ) {
    const { bytes } = this;
    const { neighbours, nearby } = this.network;
    const { width } = nearby;
    if (neighbours === 0) return at;
    const { rows, codes, counts } = this.tile.neighbours(this.layer);
    for (let j = 0; j < neighbours; j++) {
      const place = NEIGHBOURS * i + j;
      if (j < counts[i]) {
        const from = rows[place] * width;
        for (let c = 0; c < width; c++) target[at + c] = bytes[from + c];
      } else {
        target.fill(128, at, at + width);
      }
      target[at + width] = codes[place];
      at += width + 1;
    }
    return at;
  }
}

/** A triangle wave of period 2^16, in 8 bits. */
function triangle(/** @type {number} */ phase) {
  const w = phase & 0xffff;
  return (w >= 2 ** 15 ? 2 ** 16 - 1 - w : w) >> 7;
}
