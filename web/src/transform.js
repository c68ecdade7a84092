/** Transforms of channels to columns (spec 5.3, 9), in binary64. */

import { Func, Kernels, compile, f64x2, i32, repeat, v128 } from './assembler.js';

/** Rows that are written together. */
const BATCH = 256;
/** Columns that are computed together: four vectors of two. */
const COLUMNS = 8;

/** `start + y * basis`, where `y` are a row's channels in units of `unit`. */
class Transform {
  /**
   * @param {import('./codings.js').GroupCoding['transform'] & {}} transform
   * @param {number[]} centre
   * @param {number} unit
   * @param {number} columns
   */
  constructor({ mean, basis }, centre, unit, columns) {
    this.columns = columns;
    this.channels = centre.length;
    this.unit = unit;
    this.basis = basis;
    this.start = Float64Array.from(mean);
    for (let c = 0; c < this.channels; c++) {
      for (let m = 0; m < columns; m++) this.start[m] += centre[c] * basis[c * columns + m];
    }
  }

  /**
   * Write rows.
   *
   * @param {Int32Array} values `v_q6` of the rows
   * @param {number} first where the first row goes
   * @param {number} rows
   * @param {import('./properties.js').Column[]} targets
   */
  write(values, first, rows, targets) {
    const { columns, channels, unit, basis, start } = this;
    const sums = new Float64Array(columns);
    for (let i = 0; i < rows; i++) {
      sums.set(start);
      for (let c = 0; c < channels; c++) {
        const y = values[i * channels + c] * unit;
        for (let m = 0, at = c * columns; m < columns; m++, at++) sums[m] += y * basis[at];
      }
      for (let m = 0; m < columns; m++) targets[m][first + i] = sums[m];
    }
  }
}

/**
 * Product with a matrix. Parameters: rows, groups of columns, channels; addresses of `y`, sums,
 * basis (group after group) and start.
 */
function productFunction() {
  const func = new Func('product', 7);
  const [rows, groups, channels, y, out, basis, start] = func.parameters;
  const [group, channel, x, b, s] = Array.from({ length: 5 }, () => func.i32());
  const splat = func.v128();
  const sums = Array.from({ length: COLUMNS / 2 }, () => func.v128());
  func.body = [
    repeat(rows, [
      b.set(basis.get),
      s.set(start.get),
      group.set(groups.get),
      repeat(group, [
        x.set(y.get),
        sums.map((sum, i) => sum.set(v128.load(s.get, 16 * i))),
        channel.set(channels.get),
        repeat(channel, [
          splat.set(v128.load64Splat(x.get)),
          sums.map((sum, i) =>
            sum.set(f64x2.add(sum.get, f64x2.mul(splat.get, v128.load(b.get, 16 * i)))),
          ),
          x.add(i32.const(8)),
          b.add(i32.const(8 * COLUMNS)),
        ]),
        sums.map((sum, i) => v128.store(out.get, sum.get, 16 * i)),
        s.add(i32.const(8 * COLUMNS)),
        out.add(i32.const(8 * COLUMNS)),
      ]),
      y.set(x.get),
    ]),
  ];
  return func;
}

const module = compile([productFunction()]);

/** The same with vectors. */
class WasmTransform extends Transform {
  #call;
  #y;
  #sums;

  constructor(
    /** @type {import('./codings.js').GroupCoding['transform'] & {}} */ transform,
    /** @type {number[]} */ centre,
    /** @type {number} */ unit,
    /** @type {number} */ columns,
    /** @type {WebAssembly.Module} */ compiled,
  ) {
    super(transform, centre, unit, columns);
    const { channels, basis, start } = this;
    const groups = Math.ceil(columns / COLUMNS);
    /** Sums between one row and the next. */
    this.stride = groups * COLUMNS;
    const kernels = new Kernels(compiled);
    const [y, sums, packed, padded] = [BATCH * channels, BATCH * this.stride, channels * this.stride, this.stride].map(
      (length) => kernels.take(8 * length),
    );
    const { buffer } = kernels.memory;
    new Float64Array(buffer, padded).set(start);
    const target = new Float64Array(buffer, packed);
    for (let c = 0; c < channels; c++) {
      for (let m = 0; m < columns; m++) {
        const group = Math.floor(m / COLUMNS);
        target[(group * channels + c) * COLUMNS + (m % COLUMNS)] = basis[c * columns + m];
      }
    }
    this.#y = new Float64Array(buffer, y, BATCH * channels);
    this.#sums = new Float64Array(buffer, sums, BATCH * this.stride);
    this.#call = (/** @type {number} */ rows) =>
      kernels.functions.product(rows, groups, channels, y, sums, packed, padded);
  }

  /** @type {Transform['write']} */
  write(values, first, rows, targets) {
    const { channels, unit, stride } = this;
    for (let from = 0; from < rows; from += BATCH) {
      const count = Math.min(BATCH, rows - from);
      for (let i = 0, at = from * channels; i < count * channels; i++, at++) this.#y[i] = values[at] * unit;
      this.#call(count);
      for (let m = 0; m < targets.length; m++) {
        copyColumn(this.#sums, m, stride, targets[m], first + from, count);
      }
    }
  }
}

function copyColumn(
  /** @type {Float64Array} */ sums,
  /** @type {number} */ at,
  /** @type {number} */ stride,
  /** @type {import('./properties.js').Column} */ target,
  /** @type {number} */ first,
  /** @type {number} */ count,
) {
  for (let i = 0; i < count; i++, at += stride) target[first + i] = sums[at];
}

/**
 * The fastest transform that there is.
 *
 * @param {import('./codings.js').GroupCoding['transform'] & {}} transform
 * @param {number[]} centre
 * @param {number} unit step / 64
 * @param {number} columns
 * @param {boolean} simd whether WebAssembly may be used
 * @returns {Transform}
 */
export const createTransform = (transform, centre, unit, columns, simd) =>
  simd && module
    ? new WasmTransform(transform, centre, unit, columns, module)
    : new Transform(transform, centre, unit, columns);
