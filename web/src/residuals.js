/** Residual groups of a tile layer (spec 6.4, 7.4, numerics 6). */

import { NO_SENTINEL } from './codings.js';
import { Contexts } from './contexts.js';
import { require } from './errors.js';
import { NEIGHBOURS } from './neighbours.js';
import { STEP_Q6 } from './steps.js';
import { LAPLACE, LAPLACE_H, escapeOrder } from './tables.js';
import { roundRows } from './tile.js';

/** Rows whose networks are evaluated together. */
export const BATCH = 256;
const POWERS = [
  32768, 31379, 30048, 28774, 27554, 26386, 25268, 24196, 23170, 22188, 21247, 20347, 19484, 18658,
  17867, 17109,
];

/**
 * @param {import('./tile.js').Tile} tile
 * @param {number} layer
 * @param {number} group
 * @param {import('./codings.js').GroupCoding} coding
 * @param {import('./network.js').Network} network
 * @param {import('./forward.js').Forward} forward of the network
 * @param {import('./rans.js').Rans} rans
 * @param {import('./bits.js').BitReader} bits
 */
export function decodeResiduals(tile, layer, group, coding, network, forward, rans, bits) {
  const rounds = tile.head.rounds[layer];
  const predictor = new Predictor(tile, layer, group, coding, network, forward);
  for (let round = 0; round < rounds; round++) {
    predictor.predict(roundRows(round, rounds));
    predictor.reconstruct(readResiduals(predictor.indices, rans, bits));
  }
}

/** Predicts and reconstructs the integers of a group, round after round. */
class Predictor {
  constructor(
    /** @type {import('./tile.js').Tile} */ tile,
    /** @type {number} */ layer,
    /** @type {number} */ group,
    /** @type {import('./codings.js').GroupCoding} */ coding,
    /** @type {import('./network.js').Network} */ network,
    /** @type {import('./forward.js').Forward} */ forward,
  ) {
    this.count = tile.counts[layer];
    this.start = tile.starts[layer];
    this.channels = tile.head.groups[group].channels;
    this.values = tile.values(group);
    this.network = network;
    this.forward = forward;
    this.neighbours = tile.neighbours(layer);
    this.classes = coding.rule.classes(tile, layer, group);
    this.marks = coding.sentinel === NO_SENTINEL ? null : tile.values(coding.sentinel);
    this.contexts = new Contexts(tile, layer, network, this.classes);
    this.weights = new Int32Array(NEIGHBOURS);
    this.sources = new Int32Array(NEIGHBOURS);
    /** Places of the rows of the round within the tile layer. */
    this.places = new Int32Array(0);
    this.means = new Int32Array(0);
    this.indices = new Uint8Array(0);
  }

  /** Predict `mu_q6` and scale indices of the rows of a round. */
  predict(/** @type {{ first: number, step: number }} */ { first, step }) {
    const { count, channels, forward, contexts, network } = this;
    const size = Math.max(0, Math.ceil((count - first) / step));
    this.places = Int32Array.from({ length: size }, (_, i) => first + i * step);
    this.means = new Int32Array(size * channels);
    this.indices = new Uint8Array(size * channels);
    const { inputs, outputs, stride, outputStride } = forward;
    for (let from = 0; from < size; from += BATCH) {
      const batch = this.places.subarray(from, from + BATCH);
      contexts.write(batch, inputs, stride);
      forward.run(batch.length);
      this.#take(batch, from * channels, outputs, outputStride);
    }
    if (network.blended) this.#addBlends();
    if (this.marks) this.#clearMarked(this.marks);
  }

  /** Predictions from outputs (numerics 9.4). */
  #take(
    /** @type {Int32Array} */ places,
    /** @type {number} */ at,
    /** @type {Int32Array} */ outputs,
    /** @type {number} */ stride,
  ) {
    const { channels, means, indices, classes } = this;
    for (let i = 0; i < places.length; i++) {
      const from = i * stride;
      const lower = 3 * classes[places[i]];
      for (let c = 0; c < channels; c++, at++) {
        means[at] = outputs[from + c];
        const t = ((outputs[from + channels + c] + 32) >> 6) - lower;
        indices[at] = t < 0 ? 0 : t > 63 ? 63 : t;
      }
    }
  }

  /** Add the blend of the neighbours' integers to the predictions. */
  #addBlends() {
    const { places, channels, values, means, weights, sources } = this;
    const { gain } = this.network;
    const { rows, counts } = this.neighbours;
    for (let i = 0; i < places.length; i++) {
      const place = places[i];
      const used = counts[place] > 0 ? this.#weigh(place) : 0;
      for (let j = 0; j < used; j++) sources[j] = rows[NEIGHBOURS * place + j] * channels;
      const at = i * channels;
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let j = 0; j < used; j++) sum += weights[j] * values[sources[j] + c];
        means[at + c] += Math.floor((gain[c] * sum + 2 ** 15) * 2 ** -16);
      }
    }
  }

  /** Weights of the neighbours, by distance; they add up to 256. Return how many are not 0. */
  #weigh(/** @type {number} */ place) {
    const { weights } = this;
    const { codes, counts } = this.neighbours;
    const { decay } = this.network;
    const from = NEIGHBOURS * place;
    const count = counts[place];
    let sum = 0;
    for (let j = 0; j < count; j++) {
      const o = (decay * (codes[from + j] - codes[from])) >> 2;
      weights[j] = o < 256 ? POWERS[o & 15] >> (o >> 4) : 0;
      sum += weights[j];
    }
    // The quotients are multiples of 1 / sum, which is above 2^-18: this rounds down as it should.
    const unit = 256 / sum;
    let left = 256;
    let used = 0;
    for (let j = 0; j < count; j++) {
      const weight = (weights[j] * unit + 2 ** -20) | 0;
      weights[j] = weight;
      left -= weight;
      if (weight > 0) used = j + 1;
    }
    weights[0] += left;
    return used;
  }

  /** Rows that the sentinel marks have the prediction 0 and no residual. */
  #clearMarked(/** @type {Int32Array} */ marks) {
    const { places, start, channels, means, indices } = this;
    for (let i = 0; i < places.length; i++) {
      if (marks[start + places[i]] === 0) continue;
      means.fill(0, i * channels, (i + 1) * channels);
      indices.fill(0, i * channels, (i + 1) * channels);
    }
  }

  /** Integers of the round from its residuals (spec 5.5). */
  reconstruct(/** @type {Int32Array} */ residuals) {
    const { places, channels, values, means, classes, start } = this;
    let largest = 0;
    for (let i = 0, at = 0; i < places.length; i++) {
      const step = STEP_Q6[classes[places[i]] + 8];
      const to = (start + places[i]) * channels;
      for (let c = 0; c < channels; c++, at++) {
        const value = means[at] + residuals[at] * step;
        largest = Math.max(largest, Math.abs(value));
        values[to + c] = value;
      }
    }
    require(largest < 2 ** 30, 'an integer is too large');
    this.contexts.note(places);
  }
}

/**
 * Residuals with these scale indices.
 *
 * @param {Uint8Array} indices
 * @param {import('./rans.js').Rans} rans
 * @param {import('./bits.js').BitReader} bits
 * @returns {Int32Array}
 */
export function readResiduals(indices, rans, bits) {
  const coded = new Uint8Array(indices.length);
  let count = 0;
  for (let i = 0; i < indices.length; i++) if (indices[i] > 0) coded[count++] = indices[i];
  const symbols = rans.stage(LAPLACE, coded, count, coded);
  const residuals = new Int32Array(indices.length);
  const escapes = [];
  for (let i = 0, at = 0; i < indices.length; i++) {
    if (indices[i] === 0) continue;
    const h = LAPLACE_H[indices[i]];
    residuals[i] = symbols[at] - h;
    if (symbols[at++] > 2 * h) escapes.push(i);
  }
  for (const i of escapes) {
    const magnitude = LAPLACE_H[indices[i]] + 1 + bits.golomb(escapeOrder(indices[i]));
    require(magnitude < 2 ** 24, 'a residual is too large');
    residuals[i] = magnitude;
  }
  for (const i of escapes) if (bits.read(1) === 1) residuals[i] = -residuals[i];
  return residuals;
}
