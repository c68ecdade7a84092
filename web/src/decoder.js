/** The decoder: bytes in pieces of any size become complete levels. */

import { Attachments } from './attachments.js';
import { BitReader } from './bits.js';
import { readCoding } from './codings.js';
import { crc32 } from './crc32.js';
import { decodeData, integerBytes } from './data.js';
import { CorruptError, CsgsError, LimitError, TruncatedError, UnsupportedError } from './errors.js';
import { ExactData } from './exact.js';
import { FieldReader } from './fields.js';
import { Forwards } from './wasm_forward.js';
import { Head } from './head.js';
import { Kind, isResidual } from './kinds.js';
import { checkLevels, readLevels } from './levels.js';
import { DEFAULT_LIMITS, ModelBudget } from './limits.js';
import { readNetwork } from './network.js';
import { readObjects } from './objects.js';
import { ByteQueue } from './queue.js';
import { BATCH } from './residuals.js';
import { Scene } from './scene.js';
import { Schema } from './schema.js';
import { hex, sha256 } from './sha256.js';
import { Tables, readPositionTables } from './tables.js';
import { Tile } from './tile.js';
import { DueList, TileTable } from './tiles.js';

const SIGNATURE = [0x89, 0x43, 0x53, 0x47, 0x53, 0x0d, 0x0a, 0x1a];
const PRELUDE = ['HEAD', 'LEVS', 'SCHM', 'TILE', 'KDTB'];
const BODY = ['GRUP', 'NETW', 'DATA', 'XDAT'];
const LEVS_END = 65536;

/**
 * @typedef {object} DecoderOptions
 * @property {number} [level] decode no further than this level, counted from 1
 * @property {boolean} [verify] check what may stay unchecked, which costs time: digests of levels and
 *   attachments
 * @property {(...parts: Uint8Array[]) => Uint8Array} [sha256] a faster SHA-256 for `verify`
 * @property {boolean} [simd] evaluate networks with WebAssembly where it is there (the default)
 * @property {Partial<import('./limits.js').Limits>} [limits]
 */

export class Decoder {
  #queue = new ByteQueue();
  /** Name of the next chunk of the prelude, by number. */
  #stage = -1;
  /** Damage in a level that is not complete yet. @type {unknown} */
  #damage = null;
  #lastPass = -1;
  /** Digests of the chunks of the level. @type {Uint8Array[]} */
  #chunkDigests = [];
  /** @type {import('./codings.js').Coding[]} */
  #codings = [];
  /** @type {import('./network.js').Network[]} */
  #networks = [];
  /** @type {import('./forward.js').Forward[]} */
  #forwards = [];
  /** @type {Tile[]} */
  #tiles = [];
  #makers;
  #budget;
  #attachments = new Attachments();

  /** @param {DecoderOptions} [options] */
  constructor({ level, verify = false, sha256: hash = sha256, simd = true, limits = {} } = {}) {
    this.wanted = level;
    this.verify = verify;
    this.hash = hash;
    this.simd = simd;
    this.#makers = new Forwards(simd);
    this.limits = { ...DEFAULT_LIMITS, ...limits };
    this.#budget = new ModelBudget(this.limits);
    /** Levels that are complete. */
    this.complete = 0;
    /** Digests of the complete levels, where they were verified. @type {Uint8Array[]} */
    this.digests = [];
    /** @type {Head | null} */
    this.head = null;
    /** @type {import('./levels.js').Level[]} */
    this.levels = [];
    /** @type {Schema | null} */
    this.schema = null;
    /** @type {import('./objects.js').ObjectTable | null} */
    this.objects = null;
  }

  /** Bytes taken so far. */
  get bytes() {
    return this.#queue.offset + this.#queue.length;
  }

  /** Whether all levels that were asked for are complete. */
  get finished() {
    const { levels, wanted, complete } = this;
    return levels.length > 0 && complete >= Math.min(wanted ?? levels.length, levels.length);
  }

  /** Attachments that have arrived. */
  get attachments() {
    return this.#attachments.list();
  }

  /**
   * Take bytes that have arrived.
   *
   * @param {Uint8Array} piece
   * @returns {number} levels that are complete now
   */
  push(piece) {
    if (this.finished && this.wanted !== undefined) return this.complete;
    this.#queue.append(piece);
    while (this.#step());
    this.#queue.keep();
    if (this.finished && this.wanted === undefined && this.#queue.length > 0) {
      throw new CorruptError('bytes stand behind the last level', this.#queue.offset);
    }
    return this.complete;
  }

  /** There are no more bytes: the file must end behind a level. */
  end() {
    const { complete, levels, wanted } = this;
    const atLevel = complete > 0 && this.bytes === levels[complete - 1].end;
    if (this.finished || (atLevel && wanted === undefined)) return;
    const of = levels.length > 0 ? ` of ${levels.length}` : '';
    throw new TruncatedError(`the file ends early: ${complete}${of} levels are complete`, this.bytes);
  }

  /**
   * The scene at a complete level.
   *
   * @param {number} [level] counted from 1; the last complete one unless given
   * @param {{ compensate?: boolean }} [options]
   * @returns {Scene}
   */
  scene(level = this.complete, { compensate = true } = {}) {
    const { head, schema } = this;
    if (!head || !schema || level < 1 || level > this.complete) {
      throw new TruncatedError(`level ${level} is not complete`, this.bytes);
    }
    return new Scene(this, {
      head,
      schema,
      level,
      compensate,
      tiles: this.#tiles,
      codings: this.#codings,
      exact: this.exact,
      simd: this.simd,
    });
  }

  /** Read the signature or a chunk; false if it has not arrived yet. */
  #step() {
    const queue = this.#queue;
    if (this.finished) return false;
    if (this.#stage < 0) return this.#readSignature();
    if (queue.length < 4) return false;
    const { offset } = queue;
    const type = String.fromCharCode(...queue.peek(4));
    try {
      if (!/^[A-Za-z]{4}$/.test(type)) throw new CorruptError('the type of a chunk is not made of letters');
      if (queue.length < 8) return false;
      const header = queue.peek(8);
      const length = new DataView(header.buffer, header.byteOffset).getUint32(4, true);
      if (length > this.limits.payloadBytes) throw new LimitError(`a payload of ${length} bytes exceeds the limit`);
      if (queue.length < length + 12) return false;
      const chunk = queue.peek(length + 12);
      const stored = new DataView(chunk.buffer, chunk.byteOffset).getUint32(length + 8, true);
      if (stored !== crc32(chunk.subarray(0, length + 8))) throw new CorruptError('the CRC is wrong');
      queue.skip(length + 12);
      this.#accept(type, new FieldReader(chunk.subarray(8, length + 8), offset + 8));
      if (this.#stage === PRELUDE.length) this.#closeLevel();
    } catch (error) {
      throw located(error, /^[A-Za-z]{4}$/.test(type) ? type : 'unknown', offset);
    }
    return true;
  }

  #readSignature() {
    const start = this.#queue.peek(Math.min(SIGNATURE.length, this.#queue.length));
    if (start.some((byte, i) => byte !== SIGNATURE[i])) {
      throw new UnsupportedError('this is not a CSGS file', 0);
    }
    if (start.length < SIGNATURE.length) return false;
    this.#queue.skip(SIGNATURE.length);
    this.#stage = 0;
    return true;
  }

  /** Take a chunk whose CRC is right (spec 4.1). */
  #accept(/** @type {string} */ type, /** @type {FieldReader} */ fields) {
    const inPrelude = this.#stage < PRELUDE.length;
    if (type[0] >= 'a') {
      fields.require(this.#stage >= 2, 'an ancillary chunk stands before the level table');
      this.#acceptAncillary(type, fields);
    } else if (inPrelude && type === PRELUDE[this.#stage]) {
      this.#acceptPrelude(type, fields);
      this.#stage++;
    } else if (!inPrelude && BODY.includes(type)) {
      this.#acceptBody(type, fields);
    } else if (PRELUDE.includes(type) || BODY.includes(type)) {
      throw new CorruptError('the chunk is out of place');
    } else {
      throw new UnsupportedError('the chunk is unknown and critical');
    }
  }

  #acceptAncillary(/** @type {string} */ type, /** @type {FieldReader} */ fields) {
    if (type === 'aTCH') {
      this.#attachments.add(fields, this.limits);
    } else if (type === 'oBJT') {
      const inPlace = this.#stage > PRELUDE.indexOf('SCHM') && this.#stage < PRELUDE.length;
      fields.require(inPlace && !this.objects, 'the object table is out of place');
      this.objects = readObjects(fields, this.#known.schema, this.#known.head.gaussians);
    }
  }

  /** Header and schema, where the grammar guarantees them. */
  get #known() {
    return { head: /** @type {Head} */ (this.head), schema: /** @type {Schema} */ (this.schema) };
  }

  #acceptPrelude(/** @type {string} */ type, /** @type {FieldReader} */ fields) {
    const { head } = this.#known;
    if (type === 'HEAD') {
      this.head = new Head(fields, this.limits);
    } else if (type === 'LEVS') {
      fields.require(this.#queue.offset <= LEVS_END, 'the level table ends too late');
      this.levels = readLevels(fields, head);
      this.#checkWanted();
    } else if (type === 'SCHM') {
      this.schema = new Schema(fields, head, this.limits);
    } else if (type === 'TILE') {
      this.tileTable = new TileTable(fields, head, this.limits);
      this.due = new DueList(head, this.tileTable);
      checkLevels(this.levels, head, this.tileTable, fields);
    } else {
      this.positions = new Tables(readPositionTables(new BitReader(fields.rest())));
      this.exact = new ExactData(head, this.#known.schema, this.limits);
    }
  }

  #checkWanted() {
    const { wanted, levels } = this;
    if (wanted !== undefined && (wanted < 1 || wanted > levels.length)) {
      throw new UnsupportedError(`there is no level ${wanted}; the file has ${levels.length}`);
    }
  }

  #acceptBody(/** @type {string} */ type, /** @type {FieldReader} */ fields) {
    const { head, schema } = this.#known;
    if (type === 'GRUP') {
      readCoding(fields, head, schema, this.#codings, this.#budget);
    } else if (type === 'NETW') {
      const group = readNetwork(fields, head, this.#codings, this.#networks, this.#budget);
      this.#forwards[group] = this.#makers.create(this.#networks[group], BATCH);
    } else if (type === 'DATA') {
      this.#acceptData(fields);
    } else {
      this.#acceptExact(fields);
    }
  }

  #acceptData(/** @type {FieldReader} */ fields) {
    const { head } = this.#known;
    const due = /** @type {DueList} */ (this.due);
    const number = fields.u16();
    const tile = fields.u32();
    const inTurn = !due.finished && number === due.pass && tile === due.tile;
    fields.require(inTurn, `data of pass ${number}, tile ${tile} is not due`);
    const pass = head.passes[number];
    for (const group of pass.groups) this.#checkReady(group, fields);
    due.advance();
    this.#lastPass = number;
    const symbols = fields.blob();
    this.#attempt(() => this.#decodeData(pass, tile, symbols, fields.rest()));
  }

  /** A group must be described before its data. */
  #checkReady(/** @type {number} */ group, /** @type {FieldReader} */ fields) {
    const { kind } = this.#known.head.groups[group];
    const described = kind === Kind.POSITION || this.#codings[group] !== undefined;
    const predicted = !isResidual(kind) || this.#networks[group] !== undefined;
    fields.require(described && predicted, `group ${group} has data before its description`);
  }

  /** Damage within a level counts when the level is complete. */
  #attempt(/** @type {() => void} */ decode) {
    if (this.#damage !== null) return;
    try {
      decode();
    } catch (error) {
      this.#damage = located(error, 'DATA', this.#queue.offset);
    }
  }

  #decodeData(
    /** @type {import('./head.js').Pass} */ pass,
    /** @type {number} */ number,
    /** @type {Uint8Array} */ symbols,
    /** @type {Uint8Array} */ bits,
  ) {
    const tile = this.#tile(number);
    const tools = {
      positions: /** @type {Tables} */ (this.positions),
      codings: this.#codings,
      networks: this.#networks,
      forwards: this.#forwards,
    };
    decodeData(tile, pass, tools, symbols, bits);
    if (!this.verify) return;
    const integers = pass.groups.map((group) => integerBytes(tile, pass.layer, group));
    this.#chunkDigests.push(this.hash(...integers));
  }

  #tile(/** @type {number} */ number) {
    const { origins, bits, counts } = /** @type {TileTable} */ (this.tileTable);
    return (this.#tiles[number] ??= new Tile(
      this.#known.head,
      origins[number],
      bits[number],
      counts[number],
    ));
  }

  #acceptExact(/** @type {FieldReader} */ fields) {
    const due = /** @type {DueList} */ (this.due);
    const { head } = this.#known;
    const level = this.levels[this.complete];
    const inPlace = head.exact && level.passes === head.passes.length && due.finished;
    fields.require(inPlace, 'exact data is out of place');
    this.#attempt(() => {
      /** @type {ExactData} */ (this.exact).read(fields, this.#tiles);
      if (this.verify) this.#chunkDigests.push(this.hash(fields.payload));
    });
  }

  /** Complete the level if it ends here (spec 8.1). */
  #closeLevel() {
    const level = this.levels[this.complete];
    const at = this.#queue.offset;
    if (at < level.end) return;
    const due = /** @type {DueList} */ (this.due);
    if (at !== level.end || this.#lastPass >= level.passes || due.pass < level.passes) {
      throw new CorruptError(`level ${this.complete + 1} does not end where it should`);
    }
    if (this.#damage !== null) throw this.#damage;
    if (this.verify) for (const attachment of this.attachments) attachment.data();
    if (this.complete + 1 === this.levels.length) {
      /** @type {ExactData} */ (this.exact).checkComplete();
    }
    if (this.verify) this.#checkDigest(level);
    this.complete++;
  }

  #checkDigest(/** @type {import('./levels.js').Level} */ level) {
    const before = this.digests[this.digests.length - 1] ?? new Uint8Array(0);
    const digest = this.hash(before, ...this.#chunkDigests);
    if (hex(digest) !== hex(level.digest)) {
      throw new CorruptError(`the digest of level ${this.complete + 1} differs`);
    }
    this.digests.push(digest);
    this.#chunkDigests = [];
  }
}

/** Say where an error happened. An allocation that fails is a limit of this machine. */
function located(/** @type {unknown} */ error, /** @type {string} */ chunk, /** @type {number} */ offset) {
  if (error instanceof CsgsError) return error.located(chunk, offset);
  if (error instanceof RangeError && /alloc|length/i.test(error.message)) {
    return new LimitError(`out of memory: ${error.message}`).located(chunk, offset);
  }
  return error;
}
