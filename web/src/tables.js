/** Frequency tables (numerics 3). */

import { ratios, starts } from './laplace_constants.js';

export const SLOTS = 2 ** 14;
const ALPHABET = 256;

/** Tables with a common form for decoding; `number` is the place in the list they are made from. */
export class Tables {
  /** @param {ArrayLike<number>[]} frequencies of each table; an empty one stands for no table */
  constructor(frequencies) {
    /** Symbol of slot `q` of a table, at `number * SLOTS + q`. */
    this.symbols = new Uint8Array(frequencies.length * SLOTS);
    /** `f[s] << 14 | F[s]`, at `number * 256 + s`. */
    this.packed = new Uint32Array(frequencies.length * ALPHABET);
    frequencies.forEach((table, number) => {
      let slot = 0;
      for (let s = 0; s < table.length; s++) {
        this.packed[number * ALPHABET + s] = (table[s] << 14) | slot;
        this.symbols.fill(s, number * SLOTS + slot, number * SLOTS + (slot += table[s]));
      }
    });
  }
}

/**
 * Frequencies from weights (numerics 3.2).
 *
 * @param {ArrayLike<number>} weights
 * @returns {number[]}
 */
export function normalise(weights) {
  let c = Array.from(weights);
  if (c.every((weight) => weight === 0)) c = c.map(() => 1);
  const sum = c.reduce((total, weight) => total + weight, 0);
  const f = c.map((weight) => 1 + quotient(weight * (SLOTS - c.length), sum));
  const spare = SLOTS - f.reduce((total, frequency) => total + frequency, 0);
  f[c.indexOf(c.reduce((most, weight) => Math.max(most, weight)))] += spare;
  return f;
}

/** Floor of the exact quotient of integers below 2^53, which rounding may miss by one. */
function quotient(/** @type {number} */ a, /** @type {number} */ b) {
  const guess = Math.floor(a / b);
  const rest = a - guess * b;
  return rest < 0 ? guess - 1 : rest >= b ? guess + 1 : guess;
}

/**
 * Laplace table `t` (numerics 3.3).
 *
 * @param {number} t 1 to 63
 * @returns {{ h: number, frequencies: number[] }}
 */
export function laplaceTable(t) {
  const T = [starts[t - 1]];
  while (T.length <= 126 && (T[T.length - 1] >= 2 ** 18 || T.length < 2)) {
    T.push(Math.floor((T[T.length - 1] * ratios[t - 1]) / 2 ** 24));
  }
  const h = T.length - 1;
  const spare = SLOTS - (2 * h + 2);
  const side = [];
  for (let j = 1; j <= h; j++) side.push(1 + Math.floor(((T[j - 1] - T[j]) * spare) / 2 ** 29));
  const escape = 1 + Math.floor((T[h] * spare) / 2 ** 28);
  const middle = SLOTS - 2 * side.reduce((sum, one) => sum + one, 0) - escape;
  return { h, frequencies: [...side.toReversed(), middle, ...side, escape] };
}

const laplace = [{ h: 0, frequencies: [] }];
for (let t = 1; t < 64; t++) laplace.push(laplaceTable(t));

/** Largest residual that is not an escape, by scale index. */
export const LAPLACE_H = Uint8Array.from(laplace, ({ h }) => h);

/** Laplace tables by scale index; index 0 has none. */
export const LAPLACE = new Tables(laplace.map(({ frequencies }) => frequencies));

/** Order of the Exp-Golomb code of an escape (numerics 6). */
export const escapeOrder = (/** @type {number} */ t) => Math.floor((Math.max(t, 21) - 21) / 6);

const COUNT_CLASSES = 13;
const SHARE_CLASSES = 8;

/**
 * Tables of position counts from the KDTB payload (numerics 3.4).
 *
 * @param {import('./bits.js').BitReader} bits
 * @returns {number[][]} frequencies of the 104 tables
 */
export function readPositionTables(bits) {
  const tables = [];
  for (let number = 0; number < COUNT_CLASSES * SHARE_CLASSES; number++) {
    const countClass = Math.floor(number / SHARE_CLASSES);
    const alphabet = countClass < 8 ? countClass + 2 : 16;
    const sent = bits.read(1) === 1;
    tables.push(
      normalise(sent ? Array.from({ length: alphabet }, () => bits.golomb(4)) : binomials(alphabet - 1)),
    );
  }
  bits.finish();
  return tables;
}

/** `binomial(n, s)` for `s = 0 .. n`. */
function binomials(/** @type {number} */ n) {
  const row = [1];
  for (let s = 0; s < n; s++) row.push((row[s] * (n - s)) / (s + 1));
  return row;
}
