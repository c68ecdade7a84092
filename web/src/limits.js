import { LimitError } from './errors.js';

/** What a decoder agrees to hold (spec 11); the defaults are those of the specification. */
export const DEFAULT_LIMITS = Object.freeze({
  gaussians: 2 ** 28,
  /** Gaussians times channels of all groups, and times properties. */
  values: 2 ** 31,
  dataChunks: 2 ** 22,
  payloadBytes: 2 ** 30,
  elementBytes: 2 ** 32,
  /** Rows of other elements that hold lists, each counted once for each of its lists. */
  listRows: 2 ** 20,
  /** Weights of all networks and entries of all transforms together. */
  modelIntegers: 2 ** 24,
  attachments: 1024,
  attachedBytes: 2 ** 30,
});

/** @typedef {typeof DEFAULT_LIMITS} Limits */

/** Counts the integers of networks and transforms, before they are read. */
export class ModelBudget {
  #left;

  /** @param {Limits} limits */
  constructor({ modelIntegers }) {
    this.#left = modelIntegers;
  }

  take(/** @type {number} */ integers) {
    this.#left -= integers;
    if (this.#left < 0) throw new LimitError('networks and transforms exceed the limit of their integers');
  }
}
