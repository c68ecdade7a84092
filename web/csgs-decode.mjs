#!/usr/bin/env node
/** Decode a .csgs file to PLY. `node csgs-decode.mjs --help` tells how. */

import { createHash } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { CsgsError, Decoder, writePly } from './src/index.js';
import { bytesOf } from './src/properties.js';

const USAGE = `usage: csgs-decode.mjs IN.csgs [OUT.ply] [options]

  --level L            decode level L instead of the last one
  --no-compensation    leave level compensation out
  --allow-truncated    a file cut within a level is no error; its last complete level counts
  --integers OUT.json  write digests of integers and of columns
  --feed BYTES         feed the file in pieces of that many bytes
  --conformance-server answer requests of the conformance runner, on standard input

exit codes: 0 decoded, 2 usage, 3 truncated, 4 corrupt, 5 unsupported, 6 limit`;

const EXIT = { ok: 0, truncated: 3, corrupt: 4, unsupported: 5, limit: 6 };
const USAGE_EXIT = 2;

class UsageError extends Error {}

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      level: { type: 'string' },
      'no-compensation': { type: 'boolean', default: false },
      'allow-truncated': { type: 'boolean', default: false },
      integers: { type: 'string' },
      feed: { type: 'string' },
      'conformance-server': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const [input, output] = positionals;
  if (values.help) return { help: true };
  if (values['conformance-server']) return { server: true };
  if (positionals.length < 1 || positionals.length > 2) throw new UsageError('one input and at most one output');
  return {
    input,
    output,
    level: whole(values.level, 'level'),
    feed: whole(values.feed, 'feed'),
    integers: values.integers,
    compensate: !values['no-compensation'],
    allowTruncated: values['allow-truncated'],
  };
}

function whole(/** @type {string | undefined} */ text, /** @type {string} */ name) {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d*$/.test(text)) throw new UsageError(`--${name} takes a whole number of at least 1`);
  return Number(text);
}

const sha256 = (/** @type {Uint8Array[]} */ ...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};

const hex = (/** @type {Uint8Array} */ bytes) => Buffer.from(bytes).toString('hex');

/** Feed a file to a decoder; return the error that it ends with, if any. */
function feed(/** @type {Decoder} */ decoder, /** @type {Uint8Array} */ file, piece = file.length) {
  try {
    for (let at = 0; at < file.length; at += piece) decoder.push(file.subarray(at, at + piece));
    decoder.end();
    return null;
  } catch (error) {
    if (error instanceof CsgsError) return error;
    throw error;
  }
}

/** Write a whole file or nothing. */
function writeWhole(/** @type {string} */ path, /** @type {string | Uint8Array} */ contents) {
  const temporary = `${path}.${process.pid}.part`;
  try {
    writeFileSync(temporary, contents);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function describe(/** @type {Decoder} */ decoder, /** @type {number} */ level, /** @type {string} */ outcome) {
  const scene = level > 0 ? decoder.scene(level, { compensate: false }) : null;
  const columns = [...(scene?.columns ?? [])].map(([name, column]) => [
    name,
    { type: scene?.schema.type(name), sha256: hex(sha256(bytesOf(column))) },
  ]);
  return {
    outcome,
    level,
    levels: decoder.levels.length,
    gaussians: scene?.count ?? 0,
    digests: decoder.digests.slice(0, level).map(hex),
    columns: Object.fromEntries(columns),
  };
}

/** Decode a file as the options say; return the exit code. */
function decodeFile(/** @type {any} */ options) {
  const file = new Uint8Array(readFileSync(options.input));
  const decoder = new Decoder({ level: options.level, verify: true, sha256 });
  const error = feed(decoder, file, options.feed);
  const outcome = error?.outcome ?? 'ok';
  const usable = outcome === 'ok' || outcome === 'truncated';
  const wanted = options.level ?? decoder.complete;
  const level = usable && wanted <= decoder.complete ? wanted : 0;
  if (options.integers) {
    writeWhole(options.integers, `${JSON.stringify(describe(decoder, level, outcome), null, 1)}\n`);
  }
  if (options.output && level > 0) {
    writeWhole(options.output, writePly(decoder.scene(level, { compensate: options.compensate })));
  }
  if (error) console.error(`${outcome}: ${error.message}`);
  return outcome === 'truncated' && options.allowTruncated && level > 0 ? 0 : EXIT[outcome];
}

/** Answer requests of the conformance runner, one JSON object a line. */
async function answerRequests() {
  for await (const line of createInterface({ input: process.stdin })) {
    const { ply, allow_truncated: allowTruncated, no_compensation: raw, ...options } = JSON.parse(line);
    const exit = decodeFile({ ...options, output: ply, allowTruncated, compensate: !raw });
    console.log(JSON.stringify({ exit }));
  }
  return 0;
}

async function main() {
  const options = readArguments();
  if (options.server) return answerRequests();
  if (!options.help) return decodeFile(options);
  console.log(USAGE);
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  const usage = error instanceof UsageError || String(error?.code).startsWith('ERR_PARSE_ARGS');
  console.error(usage ? `${error.message}\n\n${USAGE}` : error);
  process.exitCode = usage ? USAGE_EXIT : 1;
}
