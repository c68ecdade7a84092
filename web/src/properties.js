/**
 * Property types of the schema (spec 4.4): PLY `char uchar short ushort int uint float double`.
 *
 * @typedef {'i1'|'u1'|'i2'|'u2'|'i4'|'u4'|'f4'|'f8'} TypeName
 * @typedef {Int8Array|Uint8Array|Int16Array|Uint16Array|Int32Array|Uint32Array|Float32Array|Float64Array} Column
 * @typedef {{ name: string, type: TypeName }} Property
 */

export const TYPES = Object.freeze({
  i1: { size: 1, ply: 'char', array: Int8Array, get: 'getInt8', set: 'setInt8' },
  u1: { size: 1, ply: 'uchar', array: Uint8Array, get: 'getUint8', set: 'setUint8' },
  i2: { size: 2, ply: 'short', array: Int16Array, get: 'getInt16', set: 'setInt16' },
  u2: { size: 2, ply: 'ushort', array: Uint16Array, get: 'getUint16', set: 'setUint16' },
  i4: { size: 4, ply: 'int', array: Int32Array, get: 'getInt32', set: 'setInt32' },
  u4: { size: 4, ply: 'uint', array: Uint32Array, get: 'getUint32', set: 'setUint32' },
  f4: { size: 4, ply: 'float', array: Float32Array, get: 'getFloat32', set: 'setFloat32' },
  f8: { size: 8, ply: 'double', array: Float64Array, get: 'getFloat64', set: 'setFloat64' },
});

/** @param {TypeName} type */
export const isFloat = (type) => type[0] === 'f';

/** Whether a type holds a number exactly. */
export function fits(/** @type {number} */ value, /** @type {TypeName} */ type) {
  return new TYPES[type].array([value])[0] === value;
}

/** The bytes of a column. */
export function bytesOf(/** @type {ArrayBufferView} */ column) {
  return new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
}
