import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { crc32, constants, deflateSync } from 'node:zlib';
import { fold } from '../src/attachments.js';
import { crc32 as ownCrc32 } from '../src/crc32.js';
import { inflate } from '../src/inflate.js';
import { ByteQueue } from '../src/queue.js';
import { hex, sha256 } from '../src/sha256.js';

test('SHA-256 of parts', () => {
  for (let length = 0; length < 200; length++) {
    const parts = [randomBytes(length % 7), randomBytes(length), randomBytes(length % 3)];
    const expected = createHash('sha256').update(Buffer.concat(parts)).digest('hex');
    assert.equal(hex(sha256(...parts)), expected);
  }
});

test('CRC-32', { skip: crc32 === undefined }, () => {
  const bytes = randomBytes(1000);
  assert.equal(ownCrc32(bytes), crc32(bytes));
});

const TEXT = Buffer.from('every prefix of a file that ends behind a level is a file itself. '.repeat(99));

test('inflate', () => {
  for (const data of [Buffer.alloc(0), Buffer.from('a'), TEXT, randomBytes(70000), Buffer.alloc(300000)]) {
    for (const level of [0, 1, 9]) {
      for (const strategy of [constants.Z_DEFAULT_STRATEGY, constants.Z_FIXED, constants.Z_HUFFMAN_ONLY]) {
        const inflated = inflate(deflateSync(data, { level, strategy }), data.length);
        assert.ok(data.equals(inflated));
      }
    }
  }
});

test('inflate notices damage', () => {
  const block = deflateSync(TEXT);
  const corrupt = { outcome: 'corrupt' };
  assert.throws(() => inflate(block, TEXT.length - 1), corrupt);
  assert.throws(() => inflate(block, TEXT.length + 1), corrupt);
  assert.throws(() => inflate(Buffer.concat([block, Buffer.alloc(1)]), TEXT.length), corrupt);
  assert.throws(() => inflate(block.subarray(0, -1), TEXT.length), corrupt);
  assert.throws(() => inflate(block, 2 ** 32), corrupt);
  for (let at = 0; at < block.length; at++) {
    const damaged = Buffer.from(block);
    damaged[at] ^= 1 << at % 8;
    assert.throws(() => inflate(damaged, TEXT.length), corrupt);
  }
});

test('bytes queue in pieces of any size', () => {
  const bytes = randomBytes(1000);
  const queue = new ByteQueue();
  const taken = [];
  for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 7) % 31) {
    const piece = new Uint8Array(bytes.subarray(at, at + size));
    queue.append(piece);
    while (queue.length >= 5) {
      taken.push(...queue.peek(5));
      queue.skip(5);
    }
    queue.keep();
    piece.fill(0);
  }
  assert.deepEqual(Buffer.from(taken), bytes);
  assert.equal(queue.offset, 1000);
});

test('names of attachments are compared without case', () => {
  assert.equal(fold('Straße.TXT'), fold('STRASSE.txt'));
  assert.equal(fold('ΣΑΣ'), fold('σας'));
  assert.notEqual(fold('ı'), fold('i'));
});
