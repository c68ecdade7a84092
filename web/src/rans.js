import { CorruptError, require } from './errors.js';

const LANES = 32;
const START = 2 ** 16;

/** Decoder of one rANS stream (numerics 4). */
export class Rans {
  #states = new Uint32Array(LANES).fill(START);
  #words;
  #read = 0;

  /** @param {Uint8Array} stream */
  constructor(stream) {
    const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
    if (stream.length > 0) {
      require(stream.length >= 4 * LANES && stream.length % 2 === 0, 'the length of a rANS stream is odd');
      for (let lane = 0; lane < LANES; lane++) this.#states[lane] = view.getUint32(4 * lane, true);
      require(this.#states.every((state) => state >= START), 'a rANS state is below 2^16');
    }
    this.#words = new Uint16Array(Math.max(0, (stream.length - 4 * LANES) >> 1));
    for (let i = 0; i < this.#words.length; i++) {
      this.#words[i] = view.getUint16(4 * LANES + 2 * i, true);
    }
  }

  /**
   * Decode one stage.
   *
   * @param {import('./tables.js').Tables} tables
   * @param {Uint8Array} numbers table of each symbol
   * @param {number} count
   * @param {Uint8Array} [symbols] where they go
   * @returns {Uint8Array}
   */
  stage({ symbols: bySlot, packed }, numbers, count, symbols = new Uint8Array(count)) {
    const states = this.#states;
    const words = this.#words;
    let read = this.#read;
    for (let i = 0; i < count; i++) {
      const lane = i & (LANES - 1);
      const table = numbers[i];
      const x = states[lane];
      const q = x & 0x3fff;
      const s = bySlot[(table << 14) | q];
      const entry = packed[(table << 8) | s];
      let next = (Math.imul(entry >>> 14, x >>> 14) + q - (entry & 0x3fff)) >>> 0;
      if (next < START) next = ((next << 16) | (read < words.length ? words[read] : 0)) >>> 0, read++;
      states[lane] = next;
      symbols[i] = s;
    }
    this.#read = read;
    return symbols;
  }

  /** The stream must end here (numerics 4.4). */
  finish() {
    if (this.#read !== this.#words.length) throw new CorruptError('the words of a rANS stream do not add up');
    require(this.#states.every((state) => state === START), 'a rANS stream ends in a wrong state');
  }
}
