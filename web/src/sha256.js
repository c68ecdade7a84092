/** The first 32 bits of the fractional parts of `root` of the first `count` primes. */
function fractions(/** @type {(prime: number) => number} */ root, /** @type {number} */ count) {
  const primes = [];
  for (let n = 2; primes.length < count; n++) if (primes.every((prime) => n % prime)) primes.push(n);
  return Int32Array.from(primes, (prime) => (root(prime) % 1) * 2 ** 32);
}

const START = fractions(Math.sqrt, 8);
const ROUND = fractions(Math.cbrt, 64);

/**
 * SHA-256 of the concatenation of `parts`.
 *
 * @param {...Uint8Array} parts
 * @returns {Uint8Array}
 */
export function sha256(...parts) {
  const state = Int32Array.from(START);
  const block = new Uint8Array(64);
  const view = new DataView(block.buffer);
  let held = 0;
  let length = 0;
  for (const part of parts) {
    length += part.length;
    let at = 0;
    if (held > 0) {
      at = Math.min(64 - held, part.length);
      block.set(part.subarray(0, at), held);
      held += at;
      if (held < 64) continue;
      compress(state, view, 0);
      held = 0;
    }
    const whole = new DataView(part.buffer, part.byteOffset, part.length);
    for (; at + 64 <= part.length; at += 64) compress(state, whole, at);
    block.set(part.subarray(at));
    held = part.length - at;
  }
  block.fill(0, held);
  block[held] = 0x80;
  if (held >= 56) {
    compress(state, view, 0);
    block.fill(0);
  }
  view.setBigUint64(56, BigInt(length) * 8n);
  compress(state, view, 0);
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, i) => digest.setInt32(4 * i, word));
  return new Uint8Array(digest.buffer);
}

const schedule = new Int32Array(64);

/** Take the 64 bytes at `at` of `bytes` into `state`. */
function compress(
  /** @type {Int32Array} */ state,
  /** @type {DataView} */ bytes,
  /** @type {number} */ at,
) {
  for (let i = 0; i < 16; i++) schedule[i] = bytes.getInt32(at + 4 * i);
  for (let i = 16; i < 64; i++) {
    const x = schedule[i - 15];
    const y = schedule[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    schedule[i] = (schedule[i - 16] + s0 + schedule[i - 7] + s1) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUND[i] + schedule[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
}

/** @param {Uint8Array} bytes */
export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
