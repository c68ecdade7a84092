/** Position keys of a tile layer (spec 6.2). */

import { require } from './errors.js';
import { sortKeys } from './morton.js';

/**
 * Decode the keys of a tile layer.
 *
 * @param {number} n Gaussians of the layer
 * @param {number} depth `D`: bits of a key
 * @param {Uint32Array} known keys of all earlier layers of the tile, sorted
 * @param {import('./tables.js').Tables} tables position tables
 * @param {import('./rans.js').Rans} rans
 * @param {import('./bits.js').BitReader} bits
 * @returns {Uint32Array} keys, sorted
 */
export function readKeys(n, depth, known, tables, rans, bits) {
  const keys = new Uint32Array(2 * n);
  let cells = new Cells(n);
  let halves = new Cells(n);
  const tails = new Tails(n);
  cells.add(0, 0, n, 0, known.length / 2);
  for (let d = 0; d < depth && cells.size > 0; d++) {
    cells.dropLone(depth - d, tails);
    if (cells.size === 0) break;
    const middles = cells.middles(known, depth - 1 - d);
    const lower = readLower(cells, middles, tables, rans, bits);
    halves.size = 0;
    for (let i = 0; i < cells.size; i++) halves.split(cells, i, lower[i], middles[i], depth - 1 - d);
    [cells, halves] = [halves, cells];
  }
  const at = cells.write(keys);
  tails.write(keys, at, bits);
  sortKeys(keys);
  return keys;
}

/** Cells of one depth, in increasing order of their prefixes. */
class Cells {
  size = 0;

  constructor(/** @type {number} */ capacity) {
    /** Prefixes, followed by zeros. */
    this.low = new Uint32Array(capacity);
    this.high = new Uint32Array(capacity);
    this.count = new Int32Array(capacity);
    /** Places in the known keys. */
    this.from = new Int32Array(capacity);
    this.to = new Int32Array(capacity);
  }

  add(
    /** @type {number} */ low,
    /** @type {number} */ high,
    /** @type {number} */ count,
    /** @type {number} */ from,
    /** @type {number} */ to,
  ) {
    const at = this.size++;
    this.low[at] = low;
    this.high[at] = high;
    this.count[at] = count;
    this.from[at] = from;
    this.to[at] = to;
  }

  /** Put cells of one Gaussian where none is known on the tail list. */
  dropLone(/** @type {number} */ remaining, /** @type {Tails} */ tails) {
    const { low, high, count, from, to, size } = this;
    this.size = 0;
    for (let i = 0; i < size; i++) {
      if (count[i] === 1 && from[i] === to[i]) tails.add(low[i], high[i], remaining);
      else this.add(low[i], high[i], count[i], from[i], to[i]);
    }
  }

  /** Where the upper half of each cell begins among the known keys; `place` is the next key bit. */
  middles(/** @type {Uint32Array} */ known, /** @type {number} */ place) {
    const word = place >> 5;
    const middles = new Int32Array(this.size);
    for (let i = 0; i < this.size; i++) {
      let from = this.from[i];
      let to = this.to[i];
      while (from < to) {
        const middle = (from + to) >> 1;
        if ((known[2 * middle + word] >>> place) & 1) to = middle;
        else from = middle + 1;
      }
      middles[i] = from;
    }
    return middles;
  }

  /** Add the halves of cell `i` of `cells` that are not empty. */
  split(
    /** @type {Cells} */ cells,
    /** @type {number} */ i,
    /** @type {number} */ lower,
    /** @type {number} */ middle,
    /** @type {number} */ place,
  ) {
    const low = cells.low[i];
    const high = cells.high[i];
    const upper = cells.count[i] - lower;
    if (lower > 0) this.add(low, high, lower, cells.from[i], middle);
    if (upper === 0) return;
    const bit = 1 << place;
    if (place < 32) this.add(low | bit, high, upper, middle, cells.to[i]);
    else this.add(low, high | bit, upper, middle, cells.to[i]);
  }

  /** Write each prefix as often as its cell has Gaussians; return how many keys that are. */
  write(/** @type {Uint32Array} */ keys) {
    let at = 0;
    for (let i = 0; i < this.size; i++) {
      for (let j = 0; j < this.count[i]; j++, at++) {
        keys[2 * at] = this.low[i];
        keys[2 * at + 1] = this.high[i];
      }
    }
    return at;
  }
}

/** Cells whose remaining key bits are sent as they are. */
class Tails {
  size = 0;

  constructor(/** @type {number} */ capacity) {
    this.low = new Uint32Array(capacity);
    this.high = new Uint32Array(capacity);
    this.remaining = new Uint8Array(capacity);
  }

  add(
    /** @type {number} */ low,
    /** @type {number} */ high,
    /** @type {number} */ remaining,
  ) {
    const at = this.size++;
    this.low[at] = low;
    this.high[at] = high;
    this.remaining[at] = remaining;
  }

  write(
    /** @type {Uint32Array} */ keys,
    /** @type {number} */ first,
    /** @type {import('./bits.js').BitReader} */ bits,
  ) {
    for (let i = 0; i < this.size; i++) {
      keys[2 * (first + i) + 1] = this.high[i] | bits.read(Math.max(this.remaining[i] - 32, 0));
    }
    for (let i = 0; i < this.size; i++) {
      keys[2 * (first + i)] = this.low[i] | bits.read(Math.min(this.remaining[i], 32));
    }
  }
}

/** How many Gaussians of each cell lie in its lower half. */
function readLower(
  /** @type {Cells} */ cells,
  /** @type {Int32Array} */ middles,
  /** @type {import('./tables.js').Tables} */ tables,
  /** @type {import('./rans.js').Rans} */ rans,
  /** @type {import('./bits.js').BitReader} */ bits,
) {
  const { size, count, from, to } = cells;
  const numbers = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    numbers[i] = positionTable(count[i], to[i] - from[i], middles[i] - from[i]);
  }
  const symbols = rans.stage(tables, numbers, size);
  const lower = Int32Array.from(symbols);
  for (let i = 0; i < size; i++) {
    if (count[i] > 8) lower[i] = readBin(symbols[i], count[i], bits);
    require(lower[i] <= count[i], 'a half cell has more Gaussians than its cell');
  }
  return lower;
}

/** Table of a cell with `n` Gaussians, `E` known ones and `e` of these in the lower half. */
function positionTable(/** @type {number} */ n, /** @type {number} */ E, /** @type {number} */ e) {
  const countClass = n <= 8 ? n - 1 : 5 + Math.min(31 - Math.clz32(n), 7);
  const share = E === 0 ? 0 : Math.min(1 + Math.floor((7 * (2 * e + 1)) / (2 * (E + 1))), 7);
  return 8 * countClass + share;
}

/** A count of 0 to `n` from its bin of 16 and its place in the bin. */
function readBin(
  /** @type {number} */ bin,
  /** @type {number} */ n,
  /** @type {import('./bits.js').BitReader} */ bits,
) {
  const first = Math.ceil((bin * (n + 1)) / 16);
  const next = Math.ceil(((bin + 1) * (n + 1)) / 16);
  return first + bits.read(32 - Math.clz32(Math.max(next - first - 1, 0)));
}
