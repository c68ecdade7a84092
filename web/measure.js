import { decode } from './src/index.js';

/**
 * Seconds for integers and columns of the last level, several times over.
 *
 * @param {Uint8Array} bytes
 * @param {number} runs
 */
export function measure(bytes, runs) {
  const seconds = [];
  let count = 0;
  for (let run = 0; run < runs; run++) {
    const start = performance.now();
    ({ count } = decode(bytes));
    seconds.push((performance.now() - start) / 1000);
  }
  return { count, seconds };
}
