#!/usr/bin/env node
/** A static server of this folder for the viewer: `node serve.mjs [PORT]`. */

import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout } from 'node:timers/promises';

const ROOT = fileURLToPath(new URL('.', import.meta.url));
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.csgs': 'application/octet-stream',
};
const PIECES_PER_SECOND = 20;

/**
 * @param {{ port?: number, bytesPerSecond?: number }} [options] `bytesPerSecond` slows .csgs files
 *   down, to see levels arrive
 * @returns {Promise<import('node:http').Server>} which listens
 */
export function serve({ port = 0, bytesPerSecond = Infinity } = {}) {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const path = join(ROOT, normalize(decodeURIComponent(pathname === '/' ? '/index.html' : pathname)));
    const size = path.startsWith(ROOT) && !path.split(sep).includes('..') ? sizeOf(path) : null;
    if (size === null) {
      response.writeHead(404).end('not found\n');
      return;
    }
    const type = TYPES[extname(path)] ?? 'application/octet-stream';
    response.writeHead(200, { 'content-type': type, 'content-length': size, 'cache-control': 'no-cache' });
    const slow = extname(path) === '.csgs' && bytesPerSecond < Infinity;
    if (slow) await sendSlowly(path, response, Math.ceil(bytesPerSecond / PIECES_PER_SECOND));
    else createReadStream(path).pipe(response);
  });
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)));
}

function sizeOf(/** @type {string} */ path) {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isFile() ? found.size : null;
}

async function sendSlowly(
  /** @type {string} */ path,
  /** @type {import('node:http').ServerResponse} */ response,
  /** @type {number} */ piece,
) {
  for await (const bytes of createReadStream(path, { highWaterMark: piece })) {
    if (response.destroyed) return;
    response.write(bytes);
    await setTimeout(1000 / PIECES_PER_SECOND);
  }
  response.end();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const port = Number(process.argv[2] ?? 8080);
  await serve({ port });
  console.log(`http://127.0.0.1:${port}/?file=test/data/room.csgs&up=z`);
}
