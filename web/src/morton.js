/**
 * Morton keys (numerics 8). A list of keys is a `Uint32Array` with two words for each key, the low
 * one first; its bytes are those of the keys as u64 on every machine that browsers run on.
 */

/** The box of a tile: how cells and keys belong together. */
export class MortonBox {
  /** @param {number[]} bits of each axis */
  constructor(bits) {
    this.bits = bits;
    /** Bits of a key. */
    this.depth = bits[0] + bits[1] + bits[2];
    this.#split();
    /** How far the shifted curve is shifted, in cells. */
    this.shift = bits.map((width) => Math.floor(2 ** width / 3));
  }

  /** Masks that move bit `i` of an axis to its place in a key, by axis. */
  #places = [[], [], []];

  #split() {
    const left = [...this.bits];
    for (let place = this.depth - 1; place >= 0; place--) {
      const axis = left.indexOf(Math.max(...left));
      left[axis]--;
      this.#places[axis][left[axis]] = place;
    }
  }

  /**
   * Cells of keys.
   *
   * @param {Uint32Array} keys
   * @param {Int32Array[]} cells three arrays, one for each axis
   * @param {number} first where the cells go
   */
  unpack(keys, cells, first) {
    cells.forEach((cell, axis) => {
      const places = this.#places[axis];
      for (let i = 0, at = first; 2 * i < keys.length; i++, at++) {
        const low = keys[2 * i];
        const high = keys[2 * i + 1];
        let value = 0;
        for (let bit = 0; bit < places.length; bit++) {
          const place = places[bit];
          value |= ((place < 32 ? low >>> place : high >>> (place - 32)) & 1) << bit;
        }
        cell[at] = value;
      }
    });
  }

  /**
   * Keys of cells on the shifted curve (bitstream 7.2).
   *
   * @param {Int32Array[]} cells
   * @param {number} first
   * @param {Uint32Array} keys where they go
   */
  packShifted(cells, first, keys) {
    keys.fill(0);
    cells.forEach((cell, axis) => {
      const places = this.#places[axis];
      const mask = 2 ** this.bits[axis] - 1;
      for (let i = 0, at = first; 2 * i < keys.length; i++, at++) {
        const value = (cell[at] + this.shift[axis]) & mask;
        let low = 0;
        let high = 0;
        for (let bit = 0; bit < places.length; bit++) {
          const place = places[bit];
          const one = (value >>> bit) & 1;
          if (place < 32) low |= one << place;
          else high |= one << (place - 32);
        }
        keys[2 * i] |= low;
        keys[2 * i + 1] |= high;
      }
    });
  }
}

/** Sort keys upward, in place. */
export function sortKeys(/** @type {Uint32Array} */ keys) {
  new BigUint64Array(keys.buffer, keys.byteOffset, keys.length / 2).sort();
}

/**
 * The order in which keys increase; equal ones stay as they are.
 *
 * @param {Uint32Array} keys
 * @param {number} depth bits of a key
 * @returns {Int32Array}
 */
export function orderOf(keys, depth) {
  const count = keys.length / 2;
  let order = Int32Array.from({ length: count }, (_, i) => i);
  let next = new Int32Array(count);
  const starts = new Int32Array(257);
  for (let digit = 0; digit < depth; digit += 8) {
    const word = digit >> 5;
    const shift = digit & 31;
    starts.fill(0);
    for (let i = 0; i < count; i++) starts[((keys[2 * i + word] >>> shift) & 255) + 1]++;
    for (let value = 0; value < 256; value++) starts[value + 1] += starts[value];
    for (let i = 0; i < count; i++) {
      const member = order[i];
      next[starts[(keys[2 * member + word] >>> shift) & 255]++] = member;
    }
    [order, next] = [next, order];
  }
  return order;
}

/**
 * Merge two lists of rows, each in the order of its keys; of equal keys, those of `a` come first.
 *
 * @param {Int32Array} a
 * @param {Int32Array} b
 * @param {Uint32Array} keys of all rows
 */
export function mergeOrders(a, b, keys) {
  const merged = new Int32Array(a.length + b.length);
  let i = 0;
  let j = 0;
  for (let at = 0; at < merged.length; at++) {
    const left = j === b.length || (i < a.length && !isBelow(keys, b[j], a[i]));
    merged[at] = left ? a[i++] : b[j++];
  }
  return merged;
}

/** Whether the key of row `a` is below that of row `b`. */
export function isBelow(
  /** @type {Uint32Array} */ keys,
  /** @type {number} */ a,
  /** @type {number} */ b,
) {
  const high = keys[2 * a + 1];
  const otherHigh = keys[2 * b + 1];
  return high < otherHigh || (high === otherHigh && keys[2 * a] < keys[2 * b]);
}
