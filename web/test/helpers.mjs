import { readFileSync } from 'node:fs';
import { crc32 } from '../src/crc32.js';
import { Decoder } from '../src/index.js';

export const FILES = ['table.csgs', 'room.csgs'];

export const read = (/** @type {string} */ name) =>
  new Uint8Array(readFileSync(new URL(`data/${name}`, import.meta.url)));

export const fromHex = (/** @type {string} */ digits) => new Uint8Array(Buffer.from(digits, 'hex'));

/** Decode, and tell the outcome. */
export function outcomeOf(/** @type {Uint8Array} */ bytes, options = {}) {
  try {
    const decoder = new Decoder({ verify: true, ...options });
    decoder.push(bytes);
    decoder.end();
    return 'ok';
  } catch (error) {
    return /** @type {any} */ (error).outcome ?? String(/** @type {any} */ (error).stack);
  }
}

/** Chunks of a file: type, offset of the payload, its length. */
export function chunksOf(/** @type {Uint8Array} */ bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const chunks = [];
  for (let at = 8; at < bytes.length; ) {
    const length = view.getUint32(at + 4, true);
    chunks.push({ type: Buffer.from(bytes.subarray(at, at + 4)).toString('latin1'), at: at + 8, length });
    at += length + 12;
  }
  return chunks;
}

/** Make the CRC of a chunk right again. */
export function seal(/** @type {Uint8Array} */ bytes, /** @type {{ at: number, length: number }} */ { at, length }) {
  const crc = crc32(bytes.subarray(at - 8, at + length));
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(at + length, crc, true);
}

/** Numbers in [0, 1) that are the same in every run. */
export function generator(/** @type {number} */ seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
