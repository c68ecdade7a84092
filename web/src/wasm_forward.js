/**
 * Evaluation of networks with WebAssembly vectors. Inputs are below 256 and weights below 2^15, so
 * that 16-bit products added in 32 bits are exact (numerics 9.2).
 */

import { Func, assemble, i16x8, i32, i32x4, repeat, v128 } from './assembler.js';
import { Forward } from './forward.js';

/** Rows that are evaluated together. */
const ROWS = 4;
/** Outputs that are evaluated together: two vectors of four. */
const OUTPUTS = 8;
const PAGE = 65536;

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

/** The compiled kernels, or `null` where WebAssembly vectors are missing. */
const kernels = (() => {
  try {
    return new WebAssembly.Module(assemble([layerFunction('hidden', false), layerFunction('last', true)]));
  } catch {
    return null;
  }
})();

/** Same interface as `Forward`. */
class WasmForward {
  /** @type {(() => void)[]} */
  #calls = [];
  #rowGroups = 0;

  constructor(
    /** @type {import('./network.js').Network} */ { layers },
    /** @type {number} */ rows,
  ) {
    const plan = planMemory(layers, rows);
    const memory = new WebAssembly.Memory({ initial: Math.ceil(plan.bytes / PAGE) });
    const { hidden, last } = /** @type {any} */ (
      new WebAssembly.Instance(/** @type {WebAssembly.Module} */ (kernels), { env: { memory } }).exports
    );
    plan.steps.forEach(({ layer, x, y, weights, bias, pairs, groups }, number) => {
      const isLast = number === layers.length - 1;
      packWeights(layer, pairs, new Int16Array(memory.buffer, weights));
      const half = 1 << (layer.shift - 1);
      new Int32Array(memory.buffer, bias).set(layer.bias.map((integer) => integer + half));
      const run = isLast ? last : hidden;
      const outputBytes = groups * OUTPUTS * (isLast ? 4 : 2);
      this.#calls.push(() =>
        run(this.#rowGroups, groups, pairs, layer.shift, x, y, weights, bias, 4 * pairs, outputBytes),
      );
    });
    const first = plan.steps[0];
    const final = plan.steps[plan.steps.length - 1];
    /** Inputs between one row and the next. */
    this.stride = 2 * first.pairs;
    this.inputs = new Int16Array(memory.buffer, first.x, rows * this.stride);
    /** Outputs between one row and the next. */
    this.outputStride = OUTPUTS * final.groups;
    this.outputs = new Int32Array(memory.buffer, final.y, rows * this.outputStride);
  }

  run(/** @type {number} */ rows) {
    this.#rowGroups = Math.ceil(rows / ROWS);
    for (const call of this.#calls) call();
  }
}

/** Addresses of everything. A row of a layer's outputs is a row of inputs of the next one. */
function planMemory(
  /** @type {import('./network.js').Layer[]} */ layers,
  /** @type {number} */ rows,
) {
  let bytes = 0;
  const take = (/** @type {number} */ size) => {
    const at = bytes;
    bytes += Math.ceil(size / 16) * 16;
    return at;
  };
  let pairs = Math.max(1, Math.ceil(layers[0].inputs / 2));
  let x = take(4 * pairs * rows);
  const steps = layers.map((layer) => {
    const groups = Math.ceil(layer.outputs / OUTPUTS);
    const step = {
      layer,
      pairs,
      groups,
      x,
      y: take(groups * OUTPUTS * 4 * rows),
      weights: take(groups * OUTPUTS * pairs * 4),
      bias: take(groups * OUTPUTS * 4),
    };
    pairs = (groups * OUTPUTS) / 2;
    x = step.y;
    return step;
  });
  return { bytes, steps };
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

/**
 * The fastest evaluation that there is.
 *
 * @param {import('./network.js').Network} network
 * @param {number} rows most rows of a call, a multiple of 4
 * @param {boolean} simd whether WebAssembly may be used
 * @returns {Forward}
 */
export const createForward = (network, rows, simd) =>
  simd && kernels ? new WasmForward(network, rows) : new Forward(network, rows);
