/** Decodes in a worker, so that the page stays responsive. */

import { CsgsError, Decoder } from '../src/index.js';

/** @type {Decoder} */
let decoder;
/** Which file the page wants; bytes of an older one are dropped. */
let current = 0;

onmessage = async ({ data }) => {
  if (data.type === 'level') {
    postScene(data.level);
    return;
  }
  const run = ++current;
  decoder = new Decoder();
  try {
    for await (const piece of data.type === 'url' ? download(data.url) : [data.bytes]) {
      if (run !== current) return;
      take(piece);
    }
    decoder.end();
    postMessage({ type: 'end', bytes: decoder.bytes });
  } catch (error) {
    if (run === current) postMessage({ type: 'error', message: describe(error) });
  }
};

/** Decode a piece, and show each level that it completes. */
function take(/** @type {Uint8Array} */ piece) {
  let shown = decoder.complete;
  decoder.push(piece);
  postMessage({ type: 'bytes', bytes: decoder.bytes });
  while (shown < decoder.complete) postScene(++shown);
}

function postScene(/** @type {number} */ level) {
  const { count, levels, columns, groups, objects } = decoder.scene(level);
  const buffers = [...columns.values()].map((column) => column.buffer);
  postMessage(
    { type: 'scene', level, levels, count, columns, groups, objects, complete: decoder.complete, bytes: decoder.bytes },
    { transfer: buffers },
  );
}

async function* download(/** @type {string} */ url) {
  const response = await fetch(url);
  if (!response.ok || !response.body) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  const reader = response.body.getReader();
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) yield value;
}

const describe = (/** @type {any} */ error) =>
  error instanceof CsgsError ? `${error.outcome}: ${error.message}` : String(error.message ?? error);
