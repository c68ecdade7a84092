import { encodePositions } from './contexts.js';
import { MortonBox, mergeOrders, orderOf } from './morton.js';
import { findNeighbours } from './neighbours.js';

/** What the decoder knows of the rows of a tile (spec 7.1). */
export class Tile {
  /** Decoded integers of each group but POSITION: `v_q6`, fine bits or palette index. */
  #values = /** @type {Int32Array[]} */ ([]);
  #nearbyBytes = /** @type {Uint8Array[]} */ ([]);
  #fineBits = /** @type {Int8Array[]} */ ([]);
  #encodings = /** @type {{ octaves: number, encodings: Uint8Array }[]} */ ([]);
  #orders = /** @type {Int32Array[]} */ ([]);
  #shiftedOrders = /** @type {Int32Array[]} */ ([]);
  #shiftedKeys;
  #neighbours = /** @type {import('./neighbours.js').Neighbours[]} */ ([]);

  /**
   * @param {import('./head.js').Head} head
   * @param {number[]} origin
   * @param {number[]} bits
   * @param {number[]} counts Gaussians of each layer
   */
  constructor(head, origin, bits, counts) {
    this.head = head;
    this.origin = origin;
    this.box = new MortonBox(bits);
    this.counts = counts;
    /** First row of each layer, and the number of rows. */
    this.starts = [0];
    for (const count of counts) this.starts.push(this.starts[this.starts.length - 1] + count);
    this.rows = this.starts[counts.length];
    this.keys = new Uint32Array(2 * this.rows);
    this.#shiftedKeys = new Uint32Array(2 * this.rows);
    /** Local cells, by axis. */
    this.cells = [0, 1, 2].map(() => new Int32Array(this.rows));
  }

  /** Integers of a group, row after row; zeros where they are not decoded yet. */
  values(/** @type {number} */ group) {
    return (this.#values[group] ??= new Int32Array(this.rows * this.head.groups[group].channels));
  }

  /** Channels of a group in the form in which networks see them in neighbours. */
  nearbyBytes(/** @type {number} */ group, /** @type {number} */ width) {
    return (this.#nearbyBytes[group] ??= new Uint8Array(this.rows * width));
  }

  /** Take the widths of the fine bits of a layer. */
  setFineBits(/** @type {number} */ layer, /** @type {Int8Array} */ widths) {
    this.#fineBits[layer] = widths;
  }

  /** Widths of the fine bits of the rows of a layer. */
  fineBits(/** @type {number} */ layer) {
    return this.#fineBits[layer];
  }

  /** Keys of a layer. */
  layerKeys(/** @type {number} */ layer) {
    return this.keys.subarray(2 * this.starts[layer], 2 * this.starts[layer + 1]);
  }

  /** Take the sorted keys of a layer. */
  setKeys(/** @type {number} */ layer, /** @type {Uint32Array} */ keys) {
    this.layerKeys(layer).set(keys);
    this.box.unpack(keys, this.cells, this.starts[layer]);
  }

  /** Rows of layers `0 .. layer` by key; equal keys stay in row order. */
  order(/** @type {number} */ layer) {
    if (layer < 0) return new Int32Array(0);
    return (this.#orders[layer] ??= mergeOrders(
      this.order(layer - 1),
      Int32Array.from({ length: this.counts[layer] }, (_, i) => this.starts[layer] + i),
      this.keys,
    ));
  }

  /** The same by shifted key. */
  shiftedOrder(/** @type {number} */ layer) {
    if (layer < 0) return new Int32Array(0);
    return (this.#shiftedOrders[layer] ??= this.#orderShifted(layer));
  }

  get shiftedKeys() {
    return this.#shiftedKeys;
  }

  #orderShifted(/** @type {number} */ layer) {
    const start = this.starts[layer];
    const before = this.shiftedOrder(layer - 1);
    const keys = this.#shiftedKeys.subarray(2 * start, 2 * this.starts[layer + 1]);
    this.box.packShifted(this.cells, start, keys);
    const rows = orderOf(keys, this.box.depth).map((row) => row + start);
    return mergeOrders(before, rows, this.#shiftedKeys);
  }

  /** Positional encodings of the rows of a layer whose keys are decoded. */
  encodings(/** @type {number} */ layer, /** @type {number} */ octaves) {
    const cached = this.#encodings[layer];
    if (cached?.octaves === octaves) return cached.encodings;
    const encodings = encodePositions(this, layer, octaves);
    this.#encodings[layer] = { octaves, encodings };
    return encodings;
  }

  /** Neighbours of the rows of a layer whose keys are decoded. */
  neighbours(/** @type {number} */ layer) {
    return (this.#neighbours[layer] ??= findNeighbours(this, layer, this.head.rounds[layer]));
  }
}

/**
 * Rows of a round within a tile layer (spec 2): `first`, `first + step`, ...
 *
 * @param {number} round
 * @param {number} rounds
 */
export function roundRows(round, rounds) {
  if (round === 0) return { first: 0, step: 2 ** (rounds - 1) };
  return { first: 2 ** (rounds - 1 - round), step: 2 ** (rounds - round) };
}

/** Round of the row at place `i` of a tile layer. */
export function roundOf(/** @type {number} */ i, /** @type {number} */ rounds) {
  const zeros = i === 0 ? rounds - 1 : Math.min(31 - Math.clz32(i & -i), rounds - 1);
  return rounds - 1 - zeros;
}
