/** Modelled exact columns (spec 6.5.1). */

import { BitReader } from './bits.js';
import { require } from './errors.js';
import { inflate } from './inflate.js';
import { Kind, isResidual } from './kinds.js';
import { TYPES, isFloat } from './properties.js';
import { Rans } from './rans.js';
import { segmentsOf } from './rows.js';
import { Tables, normalise } from './tables.js';

const NO_SOURCE = 255;
const PREVIOUS_ROW = 254;
const ABOVE = 253;
const BELOW = 254;
const RAW = 255;
const ZERO_GAP = 255;
const SENT_GAP = 254;
const MAX_EARLIER = 64;
const EXACT = 2 ** 52;

/** Mantissa bits, exponent bits and exponent bias. */
const FORMS = {
  f4: { M: 23, X: 8, B: 127 },
  f8: { M: 52, X: 11, B: 1023 },
};

/** Decodes the modelled columns of a file in their order. */
export class ModelledColumns {
  /** The level `A` of each row. */
  #levels;
  /** Clipped buckets of the columns still known, oldest first. @type {Int32Array[]} */
  #known = [];

  /**
   * @param {import('./head.js').Head} head
   * @param {import('./tile.js').Tile[]} tiles with all integers
   */
  constructor(head, tiles) {
    this.head = head;
    this.segments = segmentsOf(tiles, head.layers);
    this.#levels = new Int32Array(head.gaussians);
  }

  /**
   * Read a column.
   *
   * @param {import('./fields.js').FieldReader} fields behind the code
   * @param {import('./properties.js').TypeName} type
   */
  read(fields, type) {
    const header = this.#readHeader(fields, type);
    const rans = new Rans(fields.blob());
    const bits = new BitReader(fields.rest());
    const { differences, raw } = this.#readDifferences(header, rans, bits);
    const buckets = this.#buckets(header, differences, raw);
    this.#update(header, differences, buckets);
    const column = isFloat(type)
      ? readFloats(header, FORMS[/** @type {'f4' | 'f8'} */ (type)], buckets, raw, rans, bits)
      : readIntegers(header, type, buckets, raw, rans, bits);
    bits.finish();
    return column;
  }

  #readHeader(
    /** @type {import('./fields.js').FieldReader} */ fields,
    /** @type {import('./properties.js').TypeName} */ type,
  ) {
    const { size, array } = TYPES[type];
    const { M, B } = isFloat(type) ? FORMS[/** @type {'f4' | 'f8'} */ (type)] : { M: 0, B: 0 };
    const [lowest, highest] = isFloat(type) ? [1 - B, B - 1] : [1 - 8 * size, 0];
    const exponent = fields.i32('exponent', lowest, highest);
    const zeros = fields.u8('zeros', 0, M);
    const contexts = fields.u8('contexts');
    fields.require(contexts === 1 || contexts === 16, `there are ${contexts} contexts`);
    const source = fields.u8();
    const integers = this.#integers(source, fields);
    const most = source === PREVIOUS_ROW ? 0 : Math.min(MAX_EARLIER, this.#known.length);
    const earlier = fields.u8('earlier', 0, most);
    for (const buckets of this.#known.slice(this.#known.length - earlier)) {
      integers.push((row) => buckets[row]);
    }
    let bias = 0n;
    let shift = 0;
    /** @type {number[]} */
    let coefficients = [];
    if (integers.length > 0) {
      bias = fields.i64();
      shift = fields.u8('shift', 0, 62);
      coefficients = fields.list(integers.length, () => fields.i32());
    }
    const weights = inflate(fields.blob(), 256 * (contexts + 1));
    const tables = new Tables(
      Array.from({ length: contexts + 1 }, (_, t) =>
        normalise(Array.from(weights.subarray(256 * t, 256 * t + 256), (weight) => weight * weight)),
      ),
    );
    return { size, array, exponent, zeros, contexts, source, earlier, integers, bias, shift, coefficients, tables };
  }

  /** The integers of the source of a row, as functions of the canonical row. */
  #integers(
    /** @type {number} */ source,
    /** @type {import('./fields.js').FieldReader} */ fields,
  ) {
    const { groups } = this.head;
    /** @type {((row: number) => number)[]} */
    const integers = [];
    if (source === NO_SOURCE || source === PREVIOUS_ROW) return integers;
    fields.require(source < groups.length, `the source ${source} is no group`);
    const { kind, channels } = groups[source];
    fields.require(kind === Kind.POSITION || isResidual(kind), 'the source is of a wrong kind');
    for (let channel = 0; channel < channels; channel++) {
      const values = kind === Kind.POSITION ? this.#positions(channel) : this.#residuals(source, channel);
      integers.push((row) => values[row]);
    }
    return integers;
  }

  #residuals(/** @type {number} */ group, /** @type {number} */ channel) {
    const { channels } = this.head.groups[group];
    const column = new Int32Array(this.head.gaussians);
    for (const { tile, from, to, at } of this.segments) {
      const values = tile.values(group);
      for (let row = from; row < to; row++) column[at + row - from] = values[row * channels + channel];
    }
    return column;
  }

  #positions(/** @type {number} */ axis) {
    const fine = this.head.find(Kind.POSITION_FINE);
    const column = new Float64Array(this.head.gaussians);
    for (const { tile, layer, from, to, at } of this.segments) {
      const widths = fine < 0 ? null : tile.fineBits(layer);
      for (let row = from; row < to; row++) {
        const cell = tile.origin[axis] + tile.cells[axis][row];
        const place = widths ? (2 * tile.values(fine)[3 * row + axis] + 1) << (8 - widths[row - from]) : 256;
        column[at + row - from] = cell * 512 + place;
      }
    }
    return column;
  }

  #readDifferences(
    /** @type {ReturnType<ModelledColumns['#readHeader']>} */ { contexts, tables },
    /** @type {Rans} */ rans,
    /** @type {BitReader} */ bits,
  ) {
    const count = this.head.gaussians;
    const numbers = new Uint8Array(count);
    if (contexts > 1) this.#levels.forEach((level, row) => (numbers[row] = Math.min(level >> 3, 15)));
    const symbols = rans.stage(tables, numbers, count);
    const differences = new Float64Array(count);
    const raw = new Uint8Array(count);
    for (let row = 0; row < count; row++) {
      const symbol = symbols[row];
      if (symbol === ABOVE || symbol === BELOW) {
        const x = bits.golomb(8);
        require(x <= 2 ** 29, 'a difference of a modelled column is too large');
        differences[row] = symbol === ABOVE ? 127 + x : -127 - x;
      } else if (symbol === RAW) {
        raw[row] = 1;
      } else {
        differences[row] = symbol - 126;
      }
    }
    return { differences, raw };
  }

  /** Buckets `q`; those beyond 2^53 in magnitude are not exact, and no value has such a bucket. */
  #buckets(
    /** @type {ReturnType<ModelledColumns['#readHeader']>} */ header,
    /** @type {Float64Array} */ differences,
    /** @type {Uint8Array} */ raw,
  ) {
    const { source, integers } = header;
    let buckets = differences.slice();
    if (source === PREVIOUS_ROW) {
      for (let row = 1; row < buckets.length; row++) buckets[row] += buckets[row - 1];
    } else if (integers.length > 0) {
      buckets = differences.map((difference, row) => foretell(header, row, difference));
    }
    for (let row = 0; row < buckets.length; row++) if (raw[row]) buckets[row] = 0;
    return buckets;
  }

  #update(
    /** @type {{ earlier: number }} */ { earlier },
    /** @type {Float64Array} */ differences,
    /** @type {Float64Array} */ buckets,
  ) {
    const levels = this.#levels;
    differences.forEach((difference, row) => {
      const a = Math.min(Math.abs(difference), 255);
      levels[row] = (levels[row] + 16 * (32 - Math.clz32(a))) >> 1;
    });
    const clipped = Int32Array.from(buckets, (q) => Math.min(Math.max(q, -(2 ** 31)), 2 ** 31 - 1));
    this.#known = [...(earlier > 0 ? this.#known.slice(-earlier) : this.#known), clipped];
  }
}

/** A bucket from the integers of its row; modulo 2^64 where binary64 does not hold the sum. */
function foretell(
  /** @type {{ integers: ((row: number) => number)[], bias: bigint, shift: number, coefficients: number[] }} */
  { integers, bias, shift, coefficients },
  /** @type {number} */ row,
  /** @type {number} */ difference,
) {
  let sum = Number(bias);
  let magnitude = Math.abs(sum);
  for (let j = 0; j < integers.length; j++) {
    const product = coefficients[j] * integers[j](row);
    sum += product;
    magnitude += Math.abs(product);
  }
  if (magnitude < EXACT) return difference + Math.floor(sum / 2 ** shift);
  let exact = bias;
  integers.forEach((integer, j) => (exact += BigInt(coefficients[j]) * BigInt(integer(row))));
  const bucket = BigInt.asIntN(64, BigInt(difference) + (BigInt.asIntN(64, exact) >> BigInt(shift)));
  require(bucket >= -(2n ** 53n) && bucket <= 2n ** 53n, 'a bucket stands for no value');
  return Number(bucket);
}

/** Raw values, `size` bytes each, as the two 32-bit halves. */
function readRaw(
  /** @type {number} */ size,
  /** @type {Uint8Array} */ raw,
  /** @type {BitReader} */ bits,
  /** @type {(row: number, low: number, high: number) => void} */ take,
) {
  for (let row = 0; row < raw.length; row++) {
    if (!raw[row]) continue;
    const high = size === 8 ? bits.read(32) : 0;
    take(row, bits.read(Math.min(8 * size, 32)), high);
  }
}

function readIntegers(
  /** @type {{ size: number, exponent: number, array: any }} */ { size, exponent, array },
  /** @type {import('./properties.js').TypeName} */ type,
  /** @type {Float64Array} */ buckets,
  /** @type {Uint8Array} */ raw,
  /** @type {Rans} */ rans,
  /** @type {BitReader} */ bits,
) {
  rans.finish();
  const column = new array(buckets.length);
  readRaw(size, raw, bits, (row, low) => (column[row] = low));
  for (let row = 0; row < buckets.length; row++) {
    if (raw[row]) continue;
    const value = buckets[row] * 2 ** -exponent + bits.read(-exponent);
    column[row] = value;
    require(column[row] === value, `a value is not of type ${type}`);
  }
  return column;
}

function readFloats(
  /** @type {{ size: number, exponent: number, zeros: number, contexts: number, array: any, tables: Tables }} */
  { size, exponent, zeros, contexts, array, tables },
  /** @type {{ M: number, X: number, B: number }} */ { M, X, B },
  /** @type {Float64Array} */ buckets,
  /** @type {Uint8Array} */ raw,
  /** @type {Rans} */ rans,
  /** @type {BitReader} */ bits,
) {
  const count = buckets.length;
  const column = new array(count);
  const words = new Uint32Array(column.buffer);
  const magnitudes = buckets.map((q) => (q >= 0 ? q : -1 - q));
  require(magnitudes.every((m) => m < 2 ** (M + 1)), 'a bucket stands for no value');

  let near = 0;
  for (let row = 0; row < count; row++) if (!raw[row] && magnitudes[row] === 0) near++;
  const gaps = rans.stage(tables, new Uint8Array(near).fill(contexts), near);
  rans.finish();

  readRaw(size, raw, bits, (row, low, high) => {
    if (size === 8) words.set([low, high], 2 * row);
    else words[row] = low;
  });

  const exponents = new Int32Array(count);
  for (let row = 0, i = 0; row < count; row++) {
    if (raw[row]) continue;
    const m = magnitudes[row];
    if (m > 0) {
      exponents[row] = log2(m) - exponent + B;
      require(exponents[row] < 2 ** X - 1, 'a value is not finite');
    } else {
      const gap = gaps[i++];
      const E = gap === ZERO_GAP ? 0 : gap === SENT_GAP ? bits.read(X) : B - exponent - 1 - gap;
      require(E >= 0 && E <= B - exponent - 1, 'an exponent is out of range');
      exponents[row] = E;
    }
  }

  for (let row = 0, i = 0; row < count; row++) {
    if (raw[row]) continue;
    const m = magnitudes[row];
    let mantissa;
    if (m > 0) {
      const j = log2(m);
      mantissa = bits.read(Math.max(M - zeros - j, 0)) * 2 ** zeros + (m - 2 ** j) * 2 ** (M - j);
    } else {
      mantissa = gaps[i++] === ZERO_GAP ? 0 : bits.read(M - zeros) * 2 ** zeros;
    }
    const sign = buckets[row] < 0 ? 1 : 0;
    const upper = sign * 2 ** 31 + exponents[row] * 2 ** (31 - X);
    if (size === 4) {
      words[row] = upper + mantissa;
    } else {
      words[2 * row] = mantissa % 2 ** 32;
      words[2 * row + 1] = upper + Math.floor(mantissa / 2 ** 32);
    }
  }
  return column;
}

/** `ilog2` of an integer below 2^53, or 2^53 itself. */
function log2(/** @type {number} */ m) {
  return m < 2 ** 31 ? 31 - Math.clz32(m) : 31 + (31 - Math.clz32(m / 2 ** 31));
}
