/**
 * Why a file was not decoded. Every error of this decoder is one of four outcomes (spec 3.4).
 *
 * @typedef {'truncated' | 'corrupt' | 'unsupported' | 'limit'} Outcome
 */

export class CsgsError extends Error {
  /** @type {Outcome} */
  outcome;
  /** @type {string | undefined} Type of the chunk. */
  chunk;
  /** @type {number | undefined} Byte of the file. */
  offset;

  /**
   * @param {Outcome} outcome
   * @param {string} reason
   * @param {number} [offset]
   */
  constructor(outcome, reason, offset) {
    super(reason);
    this.outcome = outcome;
    this.reason = reason;
    this.offset = offset;
    this.#tell();
  }

  get name() {
    return this.constructor.name;
  }

  /**
   * Say where it happened, unless that is known better already.
   *
   * @param {string} chunk
   * @param {number} offset
   */
  located(chunk, offset) {
    this.chunk ??= chunk;
    this.offset ??= offset;
    this.#tell();
    return this;
  }

  #tell() {
    const chunk = this.chunk === undefined ? '' : `${this.chunk} chunk: `;
    const offset = this.offset === undefined ? '' : ` (byte ${this.offset})`;
    this.message = `${chunk}${this.reason}${offset}`;
  }
}

/** The file ends too early; more bytes may help. */
export class TruncatedError extends CsgsError {
  /** @param {string} reason @param {number} [offset] */
  constructor(reason, offset) {
    super('truncated', reason, offset);
  }
}

/** The bytes contradict the specification or themselves. */
export class CorruptError extends CsgsError {
  /** @param {string} reason @param {number} [offset] */
  constructor(reason, offset) {
    super('corrupt', reason, offset);
  }
}

/** Not a CSGS file, or one that needs another decoder; also: no such level. */
export class UnsupportedError extends CsgsError {
  /** @param {string} reason @param {number} [offset] */
  constructor(reason, offset) {
    super('unsupported', reason, offset);
  }
}

/** Intact as far as known, but larger than the decoder agrees to hold. */
export class LimitError extends CsgsError {
  /** @param {string} reason @param {number} [offset] */
  constructor(reason, offset) {
    super('limit', reason, offset);
  }
}

/**
 * The file is corrupt unless `condition` holds.
 *
 * @param {boolean} condition
 * @param {string} reason what is wrong if it does not
 * @returns {asserts condition}
 */
export function require(condition, reason) {
  if (!condition) throw new CorruptError(reason);
}
