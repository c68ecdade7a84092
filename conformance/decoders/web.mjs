/**
 * The web decoder as a server: `web/csgs-decode.mjs`, loaded anew for each request, since it is a
 * program that runs when it is loaded. Requests come one JSON object a line.
 */

import { createInterface } from 'node:readline';

const PROGRAM = new URL('../../web/csgs-decode.mjs', import.meta.url).href;

function words(request) {
  const found = [request.input, request.ply, '--integers', request.integers];
  for (const name of ['level', 'feed']) if (request[name]) found.push(`--${name}`, String(request[name]));
  if (request.allow_truncated) found.push('--allow-truncated');
  if (request.no_compensation) found.push('--no-compensation');
  return found;
}

let count = 0;
for await (const line of createInterface({ input: process.stdin })) {
  process.argv = [process.argv[0], PROGRAM, ...words(JSON.parse(line))];
  process.exitCode = 0;
  await import(`${PROGRAM}?call=${count++}`);
  const exit = process.exitCode;
  process.exitCode = 0;
  process.stdout.write(`${JSON.stringify({ exit })}\n`);
}
