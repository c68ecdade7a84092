/**
 * Evaluation of networks with WebAssembly vectors. Inputs are below 256 and weights below 2^15, so
 * that 16-bit products added in 32 bits are exact (numerics 9.2).
 */

import { Func, Kernels, compile, i16x8, i32, i32x4, repeat, v128 } from './assembler.js';
import { Forward } from './forward.js';

/** Rows that are evaluated together. */
const ROWS = 4;
/** Outputs that are evaluated together: two vectors of four. */
const OUTPUTS = 8;

/**
 * A layer. Parameters: number of `ROWS` groups, of `OUTPUTS` groups and of pairs of inputs; shift;
 * addresses of inputs, outputs, weights and bias; bytes of a row of inputs and of outputs.
 */
function layerFunction(/** @type {string} */ name, /** @type {boolean} */ last) {
  const func = new Func(name, 10);
  const [rowGroups, outputGroups, pairs, shift, x, y, weights, bias, inputBytes, outputBytes] = func.parameters;
  const group = func.i32();
  const pair = func.i32();
  const w = func.i32();
  const b = func.i32();
  const out = func.i32();
  const inputs = Array.from({ length: ROWS }, () => func.i32());
  const [w0, w1, splat] = Array.from({ length: 3 }, () => func.v128());
  const sums = Array.from({ length: ROWS }, () => [func.v128(), func.v128()]);
  const width = last ? 32 : 16;

  const accumulate = repeat(pair, [
    w0.set(v128.load(w.get)),
    w1.set(v128.load(w.get, 16)),
    w.add(i32.const(32)),
    inputs.map((input, row) => [
      splat.set(v128.load32Splat(input.get)),
      input.add(i32.const(4)),
      sums[row][0].set(i32x4.add(sums[row][0].get, i32x4.dot(splat.get, w0.get))),
      sums[row][1].set(i32x4.add(sums[row][1].get, i32x4.dot(splat.get, w1.get))),
    ]),
  ]);
  const shifted = (/** @type {import('./assembler.js').Code} */ sum) => i32x4.shiftRight(sum, shift.get);
  const clipped = (/** @type {import('./assembler.js').Code} */ values) =>
    i16x8.min(i16x8.max(values, i16x8.splat(i32.const(0))), i16x8.splat(i32.const(255)));
  const write = sums.map(([low, high], row) => {
    const address = i32.add(out.get, i32.mul(outputBytes.get, i32.const(row)));
    return last
      ? [v128.store(address, shifted(low.get)), v128.store(address, shifted(high.get), 16)]
      : v128.store(address, clipped(i16x8.narrow(shifted(low.get), shifted(high.get))));
  });

  func.body = [
    repeat(rowGroups, [
      w.set(weights.get),
      b.set(bias.get),
      out.set(y.get),
      group.set(outputGroups.get),
      repeat(group, [
        inputs.map((input, row) => input.set(i32.add(x.get, i32.mul(inputBytes.get, i32.const(row))))),
        sums.map(([low, high]) => [low.set(v128.load(b.get)), high.set(v128.load(b.get, 16))]),
        pair.set(pairs.get),
        accumulate,
        write,
        b.add(i32.const(32)),
        out.add(i32.const(width)),
      ]),
      x.add(i32.mul(inputBytes.get, i32.const(ROWS))),
      y.add(i32.mul(outputBytes.get, i32.const(ROWS))),
    ]),
  ];
  return func;
}

const module = compile([layerFunction('hidden', false), layerFunction('last', true)]);

/** Same interface as `Forward`. */
class WasmForward {
  /** @type {(() => void)[]} */
  #calls = [];
  #rowGroups = 0;
  #kernels;
  #rows;

  constructor(
    /** @type {import('./network.js').Network} */ { layers },
    /** @type {number} */ rows,
    /** @type {Kernels} */ kernels,
  ) {
    this.#kernels = kernels;
    this.#rows = rows;
    let pairs = Math.max(1, Math.ceil(layers[0].inputs / 2));
    /** Inputs between one row and the next. */
    this.stride = 2 * pairs;
    this.inputAddress = kernels.take(4 * pairs * rows);
    let from = this.inputAddress;
    layers.forEach((layer, number) => {
      const groups = Math.ceil(layer.outputs / OUTPUTS);
      const to = kernels.take(4 * OUTPUTS * groups * rows);
      this.#add(layer, pairs, groups, from, to, number === layers.length - 1);
      pairs = (groups * OUTPUTS) / 2;
      from = to;
    });
    this.outputAddress = from;
    /** Outputs between one row and the next. */
    this.outputStride = 2 * pairs;
  }

  /** Add a layer to the calls; a row of its outputs is a row of inputs of the next one. */
  #add(
    /** @type {import('./network.js').Layer} */ layer,
    /** @type {number} */ pairs,
    /** @type {number} */ groups,
    /** @type {number} */ from,
    /** @type {number} */ to,
    /** @type {boolean} */ last,
  ) {
    const { functions, memory } = this.#kernels;
    const weights = this.#kernels.take(4 * OUTPUTS * groups * pairs);
    const bias = this.#kernels.take(4 * OUTPUTS * groups);
    packWeights(layer, pairs, new Int16Array(memory.buffer, weights));
    const half = 1 << (layer.shift - 1);
    new Int32Array(memory.buffer, bias).set(layer.bias.map((integer) => integer + half));
    const run = last ? functions.last : functions.hidden;
    const outputBytes = groups * OUTPUTS * (last ? 4 : 2);
    this.#calls.push(() =>
      run(this.#rowGroups, groups, pairs, layer.shift, from, to, weights, bias, 4 * pairs, outputBytes),
    );
  }

  get inputs() {
    return new Int16Array(this.#kernels.memory.buffer, this.inputAddress, this.#rows * this.stride);
  }

  get outputs() {
    const length = this.#rows * this.outputStride;
    return new Int32Array(this.#kernels.memory.buffer, this.outputAddress, length);
  }

  run(/** @type {number} */ rows) {
    this.#rowGroups = Math.ceil(rows / ROWS);
    for (const call of this.#calls) call();
  }
}

/** Groups of outputs; in each, pairs of inputs; in each, output after output. */
function packWeights(
  /** @type {import('./network.js').Layer} */ { inputs, outputs, weights },
  /** @type {number} */ pairs,
  /** @type {Int16Array} */ packed,
) {
  for (let i = 0; i < inputs; i++) {
    for (let j = 0; j < outputs; j++) {
      const group = Math.floor(j / OUTPUTS);
      const at = ((group * pairs + (i >> 1)) * OUTPUTS + (j % OUTPUTS)) * 2 + (i & 1);
      packed[at] = weights[i * outputs + j];
    }
  }
}

/** Makes the fastest evaluation that there is, for the networks of one file. */
export class Forwards {
  #kernels;

  /** @param {boolean} simd whether WebAssembly may be used */
  constructor(simd) {
    this.#kernels = simd && module ? new Kernels(module) : null;
  }

  /**
   * @param {import('./network.js').Network} network
   * @param {number} rows most rows of a call, a multiple of 4
   * @returns {Forward}
   */
  create(network, rows) {
    return this.#kernels ? new WasmForward(network, rows, this.#kernels) : new Forward(network, rows);
  }
}
