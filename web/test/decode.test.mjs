import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Decoder, decode, decodeStream } from '../src/index.js';
import { FILES, chunksOf, generator, outcomeOf, read, seal } from './helpers.mjs';

for (const name of FILES) {
  test(`${name}: the digest of every level is right`, () => {
    const decoder = new Decoder({ verify: true });
    decoder.push(read(name));
    decoder.end();
    assert.equal(decoder.digests.length, decoder.levels.length);
  });

  test(`${name}: plain JavaScript and vectors give the same`, () => {
    const plain = decode(read(name), { verify: true, simd: false });
    const vectors = decode(read(name));
    for (const [column, values] of vectors.columns) assert.deepEqual(plain.columns.get(column), values);
  });
}

test('what a level holds', () => {
  const scene = decode(read('table.csgs'), { level: 2 });
  assert.deepEqual([scene.level, scene.levels, scene.count], [2, 5, 5757]);
  assert.ok(!scene.columns.has('label'));
  assert.equal(scene.columns.get('x')?.length, 5757);
  const last = decode(read('table.csgs'));
  assert.ok(last.columns.get('label') instanceof Int32Array);
  assert.equal(last.objects?.property, 'label');
  assert.equal(last.objects?.objects.find(({ name }) => name === 'ball')?.count, 906);
});

test('compensation can be left out', () => {
  const options = { level: 1 };
  const adapted = decode(read('table.csgs'), options).columns;
  const raw = decode(read('table.csgs'), { ...options, compensate: false }).columns;
  assert.deepEqual(adapted.get('x'), raw.get('x'));
  assert.notDeepEqual(adapted.get('scale_0'), raw.get('scale_0'));
});

test('levels stream in pieces of any size, each decoded once', async () => {
  const bytes = read('table.csgs');
  const whole = decode(bytes);
  for (const size of [1, 997, bytes.length]) {
    const pieces = (async function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
    })();
    const levels = [];
    let last;
    for await (const scene of decodeStream(pieces)) {
      levels.push(scene.level);
      last = scene;
    }
    assert.deepEqual(levels, [1, 2, 3, 4, 5]);
    assert.deepEqual(last?.columns, whole.columns);
  }
});

test('a stream of the web, and a level that is enough', async () => {
  const levels = [];
  for await (const { level } of decodeStream(new Blob([read('table.csgs')]).stream(), { level: 2 })) {
    levels.push(level);
  }
  assert.deepEqual(levels, [1, 2]);
});

test('a file may be cut behind a level', () => {
  const bytes = read('table.csgs');
  const { levels } = new Decoder();
  assert.equal(levels.length, 0);
  const decoder = new Decoder();
  decoder.push(bytes);
  const [{ end }] = decoder.levels;
  assert.equal(outcomeOf(bytes.subarray(0, end)), 'ok');
  assert.equal(outcomeOf(bytes.subarray(0, end), { level: 1 }), 'ok');
  assert.equal(outcomeOf(bytes.subarray(0, end), { level: 2 }), 'truncated');
  assert.equal(outcomeOf(bytes.subarray(0, end - 1)), 'truncated');
  assert.equal(outcomeOf(bytes.subarray(0, end + 1)), 'truncated');
  assert.equal(outcomeOf(bytes.subarray(0, 5)), 'truncated');
  assert.equal(outcomeOf(new Uint8Array(0)), 'truncated');
});

test('outcomes', () => {
  const bytes = read('table.csgs');
  const [head] = chunksOf(bytes);
  const changed = (/** @type {(copy: Uint8Array) => void} */ change, again = true) => {
    const copy = bytes.slice();
    change(copy);
    if (again) seal(copy, head);
    return outcomeOf(copy);
  };
  assert.equal(changed(() => {}), 'ok');
  assert.equal(changed((copy) => (copy[0] = 0), false), 'unsupported');
  assert.equal(changed((copy) => (copy[head.at + 4] ^= 1), false), 'corrupt');
  assert.equal(changed((copy) => (copy[head.at] = 2)), 'unsupported');
  assert.equal(changed((copy) => (copy[head.at + 2] = 9)), 'ok', 'the minor version changes nothing');
  assert.equal(changed((copy) => copy.fill(255, head.at + 4, head.at + 12)), 'limit');
  assert.equal(changed((copy) => copy.set([81, 82, 83, 84], head.at - 8)), 'unsupported');
  assert.equal(changed((copy) => copy.set([68, 65, 84, 65], head.at - 8)), 'corrupt');
  assert.equal(outcomeOf(Uint8Array.from([...bytes, 0])), 'corrupt');
  assert.equal(outcomeOf(bytes, { level: 6 }), 'unsupported');
  assert.equal(outcomeOf(bytes, { limits: { gaussians: 1000 } }), 'limit');
});

test('errors tell chunk and byte', () => {
  const bytes = read('table.csgs');
  const chunk = chunksOf(bytes)[7];
  bytes[chunk.at] ^= 1;
  const decoder = new Decoder();
  assert.throws(() => decoder.push(bytes), {
    outcome: 'corrupt',
    chunk: chunk.type,
    offset: chunk.at - 8,
    message: `${chunk.type} chunk: the CRC is wrong (byte ${chunk.at - 8})`,
  });
});

test('damage behind right CRCs always has an outcome', () => {
  const random = generator(1);
  const bytes = read('table.csgs');
  const chunks = chunksOf(bytes);
  const types = [...new Set(chunks.map(({ type }) => type))];
  for (let i = 0; i < 60; i++) {
    const copy = bytes.slice();
    const ofType = chunks.filter(({ type }) => type === types[i % types.length]);
    const chunk = ofType[Math.floor(random() * ofType.length)];
    copy[chunk.at + Math.floor(random() * Math.min(chunk.length, 60))] = Math.floor(random() * 256);
    seal(copy, chunk);
    assert.match(outcomeOf(copy), /^(ok|truncated|corrupt|unsupported|limit)$/);
  }
});
