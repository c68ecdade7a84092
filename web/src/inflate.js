/**
 * Zlib blocks (RFC 1950 and 1951). Written here rather than left to `DecompressionStream`, because a
 * block has a known size, must end where its field ends, and is decoded synchronously.
 */

import { CorruptError, require } from './errors.js';

const MAX_BITS = 15;
/** A deflate stream expands by less than this factor. */
const MAX_RATIO = 1032;
const LENGTH_BASE = [];
const LENGTH_EXTRA = [];
const DISTANCE_BASE = [];
const DISTANCE_EXTRA = [];
const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

for (let code = 0, base = 3; code < 28; code++) {
  LENGTH_BASE.push(base);
  LENGTH_EXTRA.push(code < 8 ? 0 : (code >> 2) - 1);
  base += 1 << LENGTH_EXTRA[code];
}
LENGTH_BASE.push(258);
LENGTH_EXTRA.push(0);
for (let code = 0, base = 1; code < 30; code++) {
  DISTANCE_BASE.push(base);
  DISTANCE_EXTRA.push(code < 4 ? 0 : (code >> 1) - 1);
  base += 1 << DISTANCE_EXTRA[code];
}

/**
 * Inflate a zlib block of exactly `size` bytes.
 *
 * @param {Uint8Array} block all bytes of the field
 * @param {number} size announced
 * @returns {Uint8Array}
 */
export function inflate(block, size) {
  require(size <= MAX_RATIO * block.length, 'a zlib block is too short for its size');
  require(
    block.length >= 6 && (block[0] & 15) === 8 && block[0] >> 4 <= 7,
    'a zlib block has no zlib header',
  );
  require(((block[0] << 8) | block[1]) % 31 === 0, 'the header of a zlib block is damaged');
  require((block[1] & 32) === 0, 'a zlib block has a preset dictionary');
  const input = new DeflateBits(block.subarray(2));
  const output = new Uint8Array(size);
  const end = inflateBlocks(input, output);
  require(end === size, 'a zlib block inflates to fewer bytes than announced');
  const at = 2 + input.align();
  require(at + 4 === block.length, 'a zlib block does not end where its field ends');
  const stored = new DataView(block.buffer, block.byteOffset + at).getUint32(0);
  require(stored === adler32(output), 'the Adler-32 of a zlib block is wrong');
  return output;
}

/** @param {Uint8Array} bytes */
function adler32(bytes) {
  let a = 1;
  let b = 0;
  for (let i = 0; i < bytes.length; ) {
    const stop = Math.min(i + 5552, bytes.length);
    for (; i < stop; i++) b += a += bytes[i];
    a %= 65521;
    b %= 65521;
  }
  return ((b << 16) | a) >>> 0;
}

/** Bits of a deflate stream, least significant first; zeros behind the end, which `align` notices. */
class DeflateBits {
  #bytes;
  #at = 0;
  #held = 0;
  #count = 0;

  constructor(/** @type {Uint8Array} */ bytes) {
    this.#bytes = bytes;
  }

  #fill(/** @type {number} */ width) {
    while (this.#count < width) {
      require(this.#at < this.#bytes.length + 4, 'a zlib block ends early');
      this.#held |= (this.#bytes[this.#at++] ?? 0) << this.#count;
      this.#count += 8;
    }
  }

  /** The next `width` bits (up to 16), without taking them. */
  peek(/** @type {number} */ width) {
    this.#fill(width);
    return this.#held & ((1 << width) - 1);
  }

  skip(/** @type {number} */ width) {
    this.#held >>>= width;
    this.#count -= width;
  }

  read(/** @type {number} */ width) {
    const value = this.peek(width);
    this.skip(width);
    return value;
  }

  /** Drop the rest of the byte; return the number of bytes used. */
  align() {
    this.#at -= this.#count >> 3;
    this.#held = 0;
    this.#count = 0;
    require(this.#at <= this.#bytes.length, 'a zlib block ends early');
    return this.#at;
  }

  bytes(/** @type {number} */ length) {
    require(this.#at + length <= this.#bytes.length, 'a zlib block ends early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

/** Canonical prefix codes: `entries[next 15 bits] = symbol << 4 | length`, 0 for no code. */
function prefixCodes(/** @type {Uint8Array} */ lengths) {
  const counts = new Uint16Array(MAX_BITS + 1);
  for (const length of lengths) if (length > 0) counts[length]++;
  const next = new Uint32Array(MAX_BITS + 2);
  let used = 0;
  for (let length = 1; length <= MAX_BITS; length++) {
    next[length + 1] = (next[length] + counts[length]) << 1;
    used += counts[length] << (MAX_BITS - length);
  }
  const codes = counts.reduce((sum, count) => sum + count, 0);
  require(used <= 1 << MAX_BITS, 'a prefix code of a zlib block is over-full');
  require(
    used === 1 << MAX_BITS || codes === 0 || (codes === 1 && counts[1] === 1),
    'a prefix code of a zlib block is incomplete',
  );
  const entries = new Uint16Array(1 << MAX_BITS);
  lengths.forEach((length, symbol) => {
    if (length === 0) return;
    let reversed = 0;
    for (let bit = 0, code = next[length]++; bit < length; bit++, code >>= 1) {
      reversed = (reversed << 1) | (code & 1);
    }
    for (let i = reversed; i < entries.length; i += 1 << length) {
      entries[i] = (symbol << 4) | length;
    }
  });
  return entries;
}

function symbol(/** @type {DeflateBits} */ input, /** @type {Uint16Array} */ codes) {
  const entry = codes[input.peek(MAX_BITS)];
  require(entry !== 0, 'a zlib block holds a code that stands for nothing');
  input.skip(entry & 15);
  return entry >> 4;
}

/** Lengths and distances of block type 1, made when first needed. */
function fixedCodes() {
  const literals = new Uint8Array(288).fill(8, 0, 144).fill(9, 144, 256).fill(7, 256, 280);
  return [prefixCodes(literals.fill(8, 280)), prefixCodes(new Uint8Array(32).fill(5))];
}

/** Literal and distance codes of block type 2. */
function dynamicCodes(/** @type {DeflateBits} */ input) {
  const literals = input.read(5) + 257;
  const distances = input.read(5) + 1;
  require(literals <= 286 && distances <= 30, 'a zlib block has too many codes');
  const lengthsOfLengths = new Uint8Array(19);
  const sent = input.read(4) + 4;
  for (let i = 0; i < sent; i++) lengthsOfLengths[CODE_LENGTH_ORDER[i]] = input.read(3);
  const codes = prefixCodes(lengthsOfLengths);
  const lengths = new Uint8Array(literals + distances);
  for (let i = 0; i < lengths.length; ) {
    const code = symbol(input, codes);
    if (code < 16) {
      lengths[i++] = code;
      continue;
    }
    require(code !== 16 || i > 0, 'a zlib block repeats a length before the first');
    const value = code === 16 ? lengths[i - 1] : 0;
    const times = code === 16 ? 3 + input.read(2) : code === 17 ? 3 + input.read(3) : 11 + input.read(7);
    require(i + times <= lengths.length, 'a zlib block repeats a length too often');
    lengths.fill(value, i, i + times);
    i += times;
  }
  require(lengths[256] > 0, 'a zlib block has no code for its end');
  return [prefixCodes(lengths.subarray(0, literals)), prefixCodes(lengths.subarray(literals))];
}

/** Fill `output`; return how many bytes there were. */
function inflateBlocks(/** @type {DeflateBits} */ input, /** @type {Uint8Array} */ output) {
  let at = 0;
  let last = false;
  while (!last) {
    last = input.read(1) === 1;
    const type = input.read(2);
    if (type === 0) {
      input.align();
      const [low, high, notLow, notHigh] = input.bytes(4);
      require((low ^ notLow) === 255 && (high ^ notHigh) === 255, 'a stored block is damaged');
      const stored = input.bytes(low | (high << 8));
      require(at + stored.length <= output.length, 'a zlib block inflates to more than announced');
      output.set(stored, at);
      at += stored.length;
    } else if (type === 3) {
      throw new CorruptError('a zlib block has an unknown block type');
    } else {
      const [literals, distances] = type === 1 ? fixedCodes() : dynamicCodes(input);
      at = inflateCodes(input, output, at, literals, distances);
    }
  }
  return at;
}

function inflateCodes(
  /** @type {DeflateBits} */ input,
  /** @type {Uint8Array} */ output,
  /** @type {number} */ at,
  /** @type {Uint16Array} */ literals,
  /** @type {Uint16Array} */ distances,
) {
  for (;;) {
    const code = symbol(input, literals);
    if (code === 256) return at;
    if (code < 256) {
      require(at < output.length, 'a zlib block inflates to more than announced');
      output[at++] = code;
      continue;
    }
    require(code < 286, 'a zlib block holds an unknown length');
    const length = LENGTH_BASE[code - 257] + input.read(LENGTH_EXTRA[code - 257]);
    const far = symbol(input, distances);
    require(far < 30, 'a zlib block holds an unknown distance');
    const distance = DISTANCE_BASE[far] + input.read(DISTANCE_EXTRA[far]);
    require(distance <= at, 'a zlib block refers to bytes before its start');
    require(at + length <= output.length, 'a zlib block inflates to more than announced');
    for (let i = 0; i < length; i++, at++) output[at] = output[at - distance];
  }
}
