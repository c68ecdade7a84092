/** Step rules and step classes (spec 5.4). */

import { Kind } from './kinds.js';

const EXACT = 2 ** 53;

/** Step in Q6 of classes -8 to 8. */
export const STEP_Q6 = Object.freeze([
  4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024,
]);

export class StepRule {
  /**
   * @param {import('./fields.js').FieldReader} fields
   * @param {number} lowest class allowed
   * @param {number} highest class allowed
   */
  constructor(fields, lowest, highest) {
    this.bias = fields.i32('bias', -(2 ** 30), 2 ** 30);
    this.coefficients = fields.list(6, () => fields.i32('coefficient', -(2 ** 30), 2 ** 30));
    this.shift = fields.u8('shift', 0, 40);
    this.low = fields.i8('low', lowest, highest);
    this.high = fields.i8('high', this.low, highest);
    this.half = this.shift > 0 ? 2 ** (this.shift - 1) : 0;
    this.factor = 2 ** -this.shift;
  }

  /** Class of a Gaussian with these features. */
  classOf(/** @type {ArrayLike<number>} */ features) {
    const { bias, coefficients, low, high } = this;
    let sum = bias;
    let magnitude = 2 ** 40;
    for (let i = 0; i < coefficients.length; i++) {
      const product = coefficients[i] * features[i];
      sum += product;
      magnitude += Math.abs(product);
    }
    const inDoubles = magnitude < EXACT;
    const value = inDoubles ? Math.floor((sum + this.half) * this.factor) : this.#exactly(features);
    return Math.min(Math.max(value, low), high);
  }

  /** The linear form where binary64 does not hold it. */
  #exactly(/** @type {ArrayLike<number>} */ features) {
    let sum = BigInt(this.bias);
    this.coefficients.forEach((coefficient, i) => (sum += BigInt(coefficient) * BigInt(features[i])));
    const shift = BigInt(this.shift);
    return Number((sum + ((1n << shift) >> 1n)) >> shift);
  }

  /** Classes of all rows of a tile layer, for the rule of group `group`. */
  classes(
    /** @type {import('./tile.js').Tile} */ tile,
    /** @type {number} */ layer,
    /** @type {number} */ group,
  ) {
    const classes = new Int8Array(tile.counts[layer]);
    if (this.low === this.high || this.coefficients.every((coefficient) => coefficient === 0)) {
      return classes.fill(this.classOf([0, 0, 0, 0, 0, 0]));
    }
    const features = new Features(tile, group);
    for (let i = 0; i < classes.length; i++) {
      classes[i] = this.classOf(features.of(tile.starts[layer] + i));
    }
    return classes;
  }
}

/** Features of the rows of a tile, for a rule that belongs to a group. */
class Features {
  #features = new Float64Array(6);

  constructor(/** @type {import('./tile.js').Tile} */ tile, /** @type {number} */ group) {
    const below = tile.head.groups.slice(0, group).map(({ kind }) => kind);
    const values = (/** @type {number} */ kind) => {
      const number = below.lastIndexOf(kind);
      return number < 0 ? null : tile.values(number);
    };
    this.scales = values(Kind.SCALE);
    this.opacities = values(Kind.OPACITY);
    this.sensitivities = values(Kind.SENSITIVITY);
    this.sorted = new Int32Array(this.scales ? this.scales.length / tile.rows : 0);
  }

  of(/** @type {number} */ row) {
    const features = this.#features;
    if (this.scales) {
      const { sorted, scales } = this;
      const C = sorted.length;
      for (let c = 0; c < C; c++) {
        const value = scales[row * C + c];
        let to = c;
        for (; to > 0 && sorted[to - 1] > value; to--) sorted[to] = sorted[to - 1];
        sorted[to] = value;
      }
      features[0] = sorted[0];
      features[1] = sorted[C >> 1];
      features[2] = sorted[C - 1];
    }
    if (this.opacities) features[3] = this.opacities[row];
    if (this.sensitivities) {
      features[4] = this.sensitivities[2 * row];
      features[5] = this.sensitivities[2 * row + 1];
    }
    return features;
  }
}
