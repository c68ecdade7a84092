import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { read } from './helpers.mjs';

const CLI = fileURLToPath(new URL('../csgs-decode.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'csgs-'));
after(() => rmSync(folder, { recursive: true }));

const input = join(folder, 'in.csgs');
const output = join(folder, 'out.ply');
const integers = join(folder, 'integers.json');

function run(/** @type {Uint8Array} */ bytes, /** @type {string[]} */ ...options) {
  for (const file of [output, integers]) rmSync(file, { force: true });
  writeFileSync(input, bytes);
  const { status, stderr } = spawnSync(process.execPath, [CLI, input, output, ...options], { encoding: 'utf8' });
  return { status, stderr };
}

test('decodes to PLY', () => {
  assert.deepEqual(run(read('table.csgs'), '--feed', '1000', '--integers', integers), { status: 0, stderr: '' });
  const header = readFileSync(output, 'latin1').split('end_header')[0];
  assert.match(header, /element vertex 17445\nproperty float x\n/);
  const report = JSON.parse(readFileSync(integers, 'utf8'));
  assert.deepEqual([report.outcome, report.level, report.levels, report.gaussians], ['ok', 5, 5, 17445]);
  assert.equal(report.digests.length, 5);
  assert.equal(report.columns.label.type, 'i4');
  assert.deepEqual(readdirSync(folder).sort(), ['in.csgs', 'integers.json', 'out.ply']);
});

test('a truncated file gives its last complete level', () => {
  const cut = read('table.csgs').subarray(0, 60000);
  const { status, stderr } = run(cut, '--integers', integers);
  assert.equal(status, 3);
  assert.match(stderr, /^truncated: .* \(byte 60000\)\n$/);
  assert.match(readFileSync(output, 'latin1').slice(0, 300), /element vertex 5757\n/);
  assert.equal(JSON.parse(readFileSync(integers, 'utf8')).level, 2);
  assert.equal(run(cut, '--allow-truncated').status, 0);
});

test('without a complete level nothing is written', () => {
  assert.equal(run(read('table.csgs').subarray(0, 5000), '--allow-truncated').status, 3);
  assert.ok(!existsSync(output));
});

test('exit codes', () => {
  const damaged = read('table.csgs');
  damaged[damaged.length - 10] ^= 1;
  assert.equal(run(damaged).status, 4);
  assert.ok(!existsSync(output));
  assert.equal(run(new Uint8Array([1, 2, 3])).status, 5);
  assert.equal(run(read('table.csgs'), '--level', '9').status, 5);
  assert.equal(run(read('table.csgs'), '--level', 'x').status, 2);
  assert.equal(run(read('table.csgs'), '--unknown').status, 2);
});
