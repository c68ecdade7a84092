/** CSGS decoder for browsers and Node. */

import { Decoder } from './decoder.js';

export { Decoder } from './decoder.js';
export { CorruptError, CsgsError, LimitError, TruncatedError, UnsupportedError } from './errors.js';
export { Kind } from './kinds.js';
export { DEFAULT_LIMITS } from './limits.js';
export { writePly } from './ply.js';
export { Scene } from './scene.js';

/**
 * Decode a whole file.
 *
 * @param {Uint8Array} bytes
 * @param {import('./decoder.js').DecoderOptions & { compensate?: boolean }} [options]
 * @returns {import('./scene.js').Scene}
 */
export function decode(bytes, { compensate, ...options } = {}) {
  const decoder = new Decoder(options);
  decoder.push(bytes);
  decoder.end();
  return decoder.scene(options.level, { compensate });
}

/**
 * Decode a file while it arrives: yields the scene each time a level has become complete.
 *
 * @param {ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>} stream
 * @param {import('./decoder.js').DecoderOptions & { compensate?: boolean }} [options]
 * @returns {AsyncGenerator<import('./scene.js').Scene>}
 */
export async function* decodeStream(stream, { compensate, ...options } = {}) {
  const decoder = new Decoder(options);
  let shown = 0;
  for await (const piece of pieces(stream)) {
    decoder.push(piece);
    while (shown < decoder.complete) yield decoder.scene(++shown, { compensate });
    if (decoder.finished && options.level !== undefined) return;
  }
  decoder.end();
}

/** Not every browser can iterate a `ReadableStream`. */
async function* pieces(/** @type {any} */ stream) {
  if (stream[Symbol.asyncIterator]) {
    yield* stream;
    return;
  }
  const reader = stream.getReader();
  try {
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) yield value;
  } finally {
    await reader.cancel();
  }
}
