import { CorruptError } from './errors.js';

/** Reads the fields of a payload in order (spec 3.1). All numbers are little-endian. */
export class FieldReader {
  #view;
  #at = 0;

  /**
   * @param {Uint8Array} payload
   * @param {number} offset byte of the file at which the payload starts
   */
  constructor(payload, offset = 0) {
    this.payload = payload;
    this.offset = offset;
    this.#view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  }

  /** Byte of the file that is read next. */
  get position() {
    return this.offset + this.#at;
  }

  /** Bytes that are left. */
  get left() {
    return this.payload.length - this.#at;
  }

  /** @param {string} reason @returns {never} */
  fail(reason) {
    throw new CorruptError(reason, this.position);
  }

  /** @param {boolean} condition @param {string} reason */
  require(condition, reason) {
    if (!condition) this.fail(reason);
  }

  #take(/** @type {number} */ length) {
    if (length > this.left) this.fail('a field reaches beyond the payload');
    const at = this.#at;
    this.#at += length;
    return at;
  }

  #within(/** @type {number} */ value, low = -Infinity, high = Infinity, name = 'field') {
    if (value < low || value > high) this.fail(`${name} ${value} is not in ${low} to ${high}`);
    return value;
  }

  #finite(/** @type {number} */ value) {
    if (!Number.isFinite(value)) this.fail('a number is not finite');
    return value;
  }

  /** @param {string} [name] @param {number} [low] @param {number} [high] */
  u8(name, low, high) {
    return this.#within(this.#view.getUint8(this.#take(1)), low, high, name);
  }

  /** @param {string} [name] @param {number} [low] @param {number} [high] */
  u16(name, low, high) {
    return this.#within(this.#view.getUint16(this.#take(2), true), low, high, name);
  }

  /** @param {string} [name] @param {number} [low] @param {number} [high] */
  u32(name, low, high) {
    return this.#within(this.#view.getUint32(this.#take(4), true), low, high, name);
  }

  /** @param {string} [name] @param {number} [low] @param {number} [high] */
  i8(name, low, high) {
    return this.#within(this.#view.getInt8(this.#take(1)), low, high, name);
  }

  /** @param {string} [name] @param {number} [low] @param {number} [high] */
  i32(name, low, high) {
    return this.#within(this.#view.getInt32(this.#take(4), true), low, high, name);
  }

  u64() {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  i64() {
    return this.#view.getBigInt64(this.#take(8), true);
  }

  f32() {
    return this.#finite(this.#view.getFloat32(this.#take(4), true));
  }

  f64() {
    return this.#finite(this.#view.getFloat64(this.#take(8), true));
  }

  /**
   * Several values of one type.
   *
   * @template T
   * @param {number} count
   * @param {() => T} read
   * @returns {T[]}
   */
  list(count, read) {
    return Array.from({ length: count }, read);
  }

  /** @param {number} length */
  bytes(length) {
    const at = this.#take(length);
    return this.payload.subarray(at, at + length);
  }

  blob() {
    return this.bytes(this.u32());
  }

  rest() {
    return this.bytes(this.left);
  }

  /** The file is corrupt if bytes remain. */
  finish() {
    if (this.left > 0) this.fail(`${this.left} bytes remain behind the last field`);
  }
}
