/**
 * Evaluation of networks (numerics 9.1), in plain JavaScript. `wasm_forward.js` does the same with
 * vector instructions; both give the same integers.
 */

export class Forward {
  /**
   * @param {import('./network.js').Network} network
   * @param {number} rows most rows of a call
   */
  constructor({ layers }, rows) {
    this.layers = layers;
    /** Inputs between one row and the next. */
    this.stride = layers[0].inputs;
    this.inputs = new Int16Array(rows * this.stride);
    /** Outputs between one row and the next. */
    this.outputStride = layers[layers.length - 1].outputs;
    /** Outputs of the last layer. */
    this.outputs = new Int32Array(rows * this.outputStride);
  }

  /** Evaluate the first `rows` rows of `inputs`. */
  run(/** @type {number} */ rows) {
    const last = this.layers.length - 1;
    for (let row = 0; row < rows; row++) {
      let x = /** @type {Int16Array | Int32Array} */ (
        this.inputs.subarray(row * this.stride, (row + 1) * this.stride)
      );
      this.layers.forEach((layer, number) => (x = evaluate(layer, x, number < last)));
      this.outputs.set(x, row * this.outputStride);
    }
  }
}

function evaluate(
  /** @type {import('./network.js').Layer} */ { inputs, outputs, shift, weights, bias },
  /** @type {Int16Array | Int32Array} */ x,
  /** @type {boolean} */ clipped,
) {
  const y = Int32Array.from(bias);
  for (let i = 0; i < inputs; i++) {
    const value = x[i];
    if (value === 0) continue;
    for (let j = 0, at = i * outputs; j < outputs; j++, at++) y[j] += Math.imul(value, weights[at]);
  }
  for (let j = 0; j < outputs; j++) {
    y[j] = (y[j] + (1 << (shift - 1))) >> shift;
    if (clipped) y[j] = Math.min(Math.max(y[j], 0), 255);
  }
  return y;
}
