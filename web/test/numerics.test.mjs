/** The check values of numerics 11. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BitReader } from '../src/bits.js';
import { encodePositions } from '../src/contexts.js';
import { MortonBox, orderOf } from '../src/morton.js';
import { distanceCode } from '../src/neighbours.js';
import { readKeys } from '../src/positions.js';
import { Rans } from '../src/rans.js';
import { readResiduals } from '../src/residuals.js';
import { hex, sha256 } from '../src/sha256.js';
import { readSideStream } from '../src/side_stream.js';
import { Tables, laplaceTable, normalise, readPositionTables } from '../src/tables.js';
import { roundOf, roundRows } from '../src/tile.js';
import { fromHex } from './helpers.mjs';

const digestOf = (/** @type {number[]} */ values) =>
  hex(sha256(new Uint8Array(Uint16Array.from(values).buffer)));

const defaultTables = () => readPositionTables(new BitReader(new Uint8Array(13)));

/** A rANS stream without words, whose first lanes start from `states`. */
function stream(/** @type {string[]} */ states) {
  const lanes = new Uint32Array(32).fill(65536);
  states.forEach((state, lane) => (lanes[lane] = parseInt(state, 16)));
  return new Uint8Array(lanes.buffer);
}

test('Laplace tables', () => {
  const frequencies = Array.from({ length: 63 }, (_, i) => laplaceTable(i + 1).frequencies).flat();
  assert.equal(digestOf(frequencies), '3e7ed7e6567800e35ac8057063ecf19236a33211b53a4afc0ab962d72ee24a84');
  assert.deepEqual(laplaceTable(1), { h: 1, frequencies: [7, 16369, 7, 1] });
});

test('default position tables', () => {
  assert.equal(
    digestOf(defaultTables().flat()),
    '5ab7a7a7d9b2225d9c8961336d815c81d71e9e6e18def9282f53be2672203a69',
  );
});

test('normalised weights', () => {
  assert.deepEqual(normalise([3, 0, 1]), [12287, 1, 4096]);
  assert.deepEqual(normalise([0, 0, 0]), [5462, 5461, 5461]);
});

test('Exp-Golomb codes', () => {
  const bits = new BitReader(fromHex('a4a4'));
  assert.deepEqual([0, 0, 2, 4].map((order) => bits.golomb(order)), [0, 1, 5, 20]);
  bits.finish();
});

test('fields of plain bits', () => {
  const bits = new BitReader(fromHex('0123456789abcdef55'));
  assert.equal(bits.read(4), 0);
  assert.equal(bits.read(48), 0x123456789abc);
  assert.equal(bits.read(0), 0);
  assert.equal(bits.read(19), 0xdef55 >> 1);
  assert.throws(() => bits.read(2), { outcome: 'corrupt' });
});

test('positional encoding', () => {
  const encode = (/** @type {number[]} */ point) =>
    encodePositions(
      /** @type {any} */ ({
        cells: point.map((cell) => Int32Array.of(cell)),
        origin: [0, 0, 0],
        head: { unitShift: 4, unitOffset: [0, 0, 0] },
        starts: [0, 1],
      }),
      0,
      2,
    );
  assert.deepEqual([...encode([0, 1000, 65535])], [0, 128, 7, 135, 0, 127, 0, 128, 15, 143, 0, 127]);
});

test('distance codes', () => {
  const code = (/** @type {number} */ d) => distanceCode(new Uint32Array(Float64Array.of(d).buffer)[1]);
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 100, 2 ** 43].map(code),
    [0, 1, 5, 7, 9, 10, 11, 12, 13, 27, 173],
  );
});

test('side streams', () => {
  assert.deepEqual([...readSideStream(fromHex('040000008dcde3bc'), [30, 30, 30])], [1, 2, 3]);
  assert.deepEqual([...readSideStream(fromHex('04000000508d089c1b80'), [30, 30])], [0, -40]);
  assert.equal(readSideStream(fromHex('00000000'), []).length, 0);
  assert.throws(() => readSideStream(fromHex('040000008dcde3bc'), [30]), { outcome: 'corrupt' });
});

test('residuals', () => {
  const rans = new Rans(stream(['1da5a', '1afd28', 'ec16a', '4927ff4', 'ba18cf']));
  const bits = new BitReader(fromHex('2c'));
  const residuals = readResiduals(Uint8Array.of(20, 20, 12, 0, 20, 63), rans, bits);
  assert.deepEqual([...residuals], [0, 2, -1, 0, -9, 1]);
  rans.finish();
  bits.finish();
});

test('position keys', () => {
  const rans = new Rans(stream(['2b30ad']));
  const bits = new BitReader(fromHex('80'));
  const keys = readKeys(3, 3, new Uint32Array(0), new Tables(defaultTables()), rans, bits);
  assert.deepEqual([...keys], [1, 0, 1, 0, 6, 0]);
  rans.finish();
  bits.finish();
});

test('Morton keys', () => {
  const cells = [new Int32Array(1), new Int32Array(1), new Int32Array(1)];
  new MortonBox([2, 1, 3]).unpack(Uint32Array.of(53, 0), cells, 0);
  assert.deepEqual(cells.map(([cell]) => cell), [3, 0, 5]);
});

test('shifted key', () => {
  const keys = new Uint32Array(2);
  new MortonBox([2, 1, 3]).packShifted([3, 0, 5].map((cell) => Int32Array.of(cell)), 0, keys);
  assert.deepEqual([...keys], [41, 0]);
});

test('keys of 63 bits survive both ways', () => {
  const box = new MortonBox([21, 21, 21]);
  const cells = [[1234567], [2097151], [7]].map((cell) => Int32Array.from(cell));
  const keys = new Uint32Array(2);
  box.packShifted(cells, 0, keys);
  const back = [new Int32Array(1), new Int32Array(1), new Int32Array(1)];
  box.unpack(keys, back, 0);
  const shift = Math.floor(2 ** 21 / 3);
  assert.deepEqual(back.map(([cell]) => cell), cells.map(([cell]) => (cell + shift) % 2 ** 21));
});

test('order of keys is stable', () => {
  assert.deepEqual([...orderOf(Uint32Array.of(5, 1, 7, 0, 5, 1, 1, 0), 40)], [3, 1, 0, 2]);
});

test('rounds', () => {
  for (let rounds = 1; rounds <= 8; rounds++) {
    for (let round = 0; round < rounds; round++) {
      const { first, step } = roundRows(round, rounds);
      for (let i = 0; i < 300; i++) {
        assert.equal(roundOf(i, rounds) === round, i >= first && (i - first) % step === 0);
      }
    }
  }
});
