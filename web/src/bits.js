import { CorruptError, require } from './errors.js';

/** Plain bits (numerics 5), most significant bit of a byte first. */
export class BitReader {
  #bytes;
  #length;
  #byte = 0;
  #bit = 0;

  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.#length = bytes.length;
    this.#bytes = new Uint8Array(bytes.length + 4);
    this.#bytes.set(bytes);
  }

  /** A field of `width` bits, 0 to 53. */
  read(/** @type {number} */ width) {
    if (width <= 24) return this.#short(width);
    const upper = this.read(width - 24);
    return upper * 2 ** 24 + this.#short(24);
  }

  #short(/** @type {number} */ width) {
    const bytes = this.#bytes;
    const at = this.#byte;
    const end = this.#bit + width;
    this.#byte = at + (end >> 3);
    this.#bit = end & 7;
    if (this.#byte + (this.#bit > 0 ? 1 : 0) > this.#length) {
      throw new CorruptError('the plain bits end early');
    }
    if (width === 0) return 0;
    const word = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    return (word << (end - width)) >>> (32 - width);
  }

  /** An Exp-Golomb code (numerics 5.2). */
  golomb(/** @type {number} */ order) {
    let zeros = 0;
    while (this.#short(1) === 0) zeros++;
    require(zeros <= 30 && zeros + order <= 40, 'an Exp-Golomb code is too long');
    return 2 ** (zeros + order) + this.read(zeros + order) - 2 ** order;
  }

  /** What is left must be fewer than 8 bits, all zero (numerics 5.3). */
  finish() {
    const rest = 8 * (this.#length - this.#byte) - this.#bit;
    require(rest < 8, 'plain bits are left over');
    require(this.#short(rest) === 0, 'the padding of the plain bits is not zero');
  }
}
