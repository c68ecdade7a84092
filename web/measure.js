import { decode } from './src/index.js';

/**
 * Decode a file once: integers and columns of the last level.
 *
 * @param {Uint8Array} bytes
 * @returns {{ count: number, seconds: number }}
 */
export function measure(bytes) {
  const start = performance.now();
  const { count } = decode(bytes);
  return { count, seconds: (performance.now() - start) / 1000 };
}
