/** Side streams: network weights and transform bases (numerics 10). */

import { BitReader } from './bits.js';
import { require } from './errors.js';
import { LAPLACE, LAPLACE_H, SLOTS, escapeOrder } from './tables.js';

const MAX_INTEGERS = 2 ** 20;
const LOW = 2 ** 20;

/**
 * Decode a side stream.
 *
 * @param {Uint8Array} stream
 * @param {ArrayLike<number>} indices scale index of each integer
 * @returns {Float64Array}
 */
export function readSideStream(stream, indices) {
  const n = indices.length;
  require(n <= MAX_INTEGERS, 'a side stream has too many integers');
  require(stream.length >= 4, 'a side stream has no size');
  const size = new DataView(stream.buffer, stream.byteOffset).getUint32(0, true);
  require(size % 4 === 0 && size <= stream.length - 4, 'the size of a side stream is wrong');
  const coder = new RangeDecoder(stream.subarray(4, 4 + size));
  const bits = new BitReader(stream.subarray(4 + size));
  const values = new Float64Array(n);
  const escapes = [];
  for (let i = 0; i < n; i++) {
    const h = LAPLACE_H[indices[i]];
    const symbol = coder.symbol(indices[i]);
    if (symbol > 2 * h) escapes.push(i);
    values[i] = symbol - h;
  }
  coder.finish(n);
  for (const i of escapes) {
    values[i] = LAPLACE_H[indices[i]] + 1 + bits.golomb(escapeOrder(indices[i]));
    require(values[i] < 2 ** 31, 'an integer of a side stream is too large');
  }
  for (const i of escapes) if (bits.read(1) === 1) values[i] = -values[i];
  bits.finish();
  return values;
}

/**
 * The range decoder (numerics 10.2). It keeps `point - low` instead of the two, and its 64-bit
 * registers as `high * 2^20 + low`, whose products with 24-bit numbers are exact in binary64.
 */
class RangeDecoder {
  #view;
  #at = 0;
  #rangeHigh = 2 ** 44 - 1;
  #rangeLow = LOW - 1;
  #pointHigh;
  #pointLow;

  constructor(/** @type {Uint8Array} */ words) {
    this.#view = new DataView(words.buffer, words.byteOffset, words.length);
    const first = this.#word();
    const second = this.#word();
    this.#pointHigh = first * 2 ** 12 + Math.floor(second / LOW);
    this.#pointLow = second % LOW;
  }

  #word() {
    if (this.#at >= this.#view.byteLength) return 0;
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4, true);
  }

  /** Decode a symbol with a Laplace table, whose frequencies count 2^10 each. */
  symbol(/** @type {number} */ index) {
    const scale = Math.floor(this.#rangeHigh / 16);
    const scaleHigh = Math.floor(scale / LOW);
    const scaleLow = scale % LOW;
    let q = Math.floor((this.#pointHigh * LOW + this.#pointLow) / scale);
    const rest = (this.#pointHigh - scaleHigh * q) * LOW + (this.#pointLow - scaleLow * q);
    if (rest < 0) q--;
    else if (rest >= scale) q++;
    require(q < 2 ** 24, 'a side stream is damaged');

    const symbol = LAPLACE.symbols[index * SLOTS + (q >>> 10)];
    const entry = LAPLACE.packed[index * 256 + symbol];
    const before = (entry & 0x3fff) * 1024;
    const frequency = (entry >>> 14) * 1024;
    const low = this.#pointLow - scaleLow * before;
    const carry = Math.floor(low / LOW);
    this.#pointHigh += carry - scaleHigh * before;
    this.#pointLow = low - carry * LOW;
    const range = scaleLow * frequency;
    this.#rangeHigh = scaleHigh * frequency + Math.floor(range / LOW);
    this.#rangeLow = range % LOW;
    if (this.#rangeHigh < 2 ** 12) this.#shift();
    return symbol;
  }

  /** Make room for a word. Both registers are below 2^32 here. */
  #shift() {
    const word = this.#word();
    this.#rangeHigh = (this.#rangeHigh * LOW + this.#rangeLow) * 2 ** 12;
    this.#rangeLow = 0;
    this.#pointHigh = (this.#pointHigh * LOW + this.#pointLow) * 2 ** 12 + Math.floor(word / LOW);
    this.#pointLow = word % LOW;
  }

  finish(/** @type {number} */ count) {
    require(this.#at === this.#view.byteLength, 'words of a side stream are left over');
    const left = this.#pointHigh * LOW + this.#pointLow;
    require(count === 0 || left < 2 ** 33 - 1, 'a side stream ends in a wrong state');
  }
}
