/** Exact data: XDAT chunks (spec 6.5). */

import { BitReader } from './bits.js';
import { parseElements } from './elements.js';
import { LimitError, require } from './errors.js';
import { inflate } from './inflate.js';
import { ModelledColumns } from './modelled.js';
import { TYPES, bytesOf } from './properties.js';

const COLUMN = 0;
const ELEMENTS = 1;
const EXCEPTIONS = 2;
const ROW_ORDER = 3;
const EXCEPTION_BYTES = 14;

/**
 * @typedef {object} Exceptions single values that replace decoded ones
 * @property {Uint32Array} rows canonical
 * @property {Uint16Array} properties
 * @property {Uint8Array} values eight bytes each
 */

export class ExactData {
  /** Columns by name. @type {Map<string, import('./properties.js').Column>} */
  columns = new Map();
  /** @type {import('./elements.js').Element[] | null} */
  elements = null;
  /** @type {Exceptions | null} */
  exceptions = null;
  /** Original row of each canonical row. @type {Uint32Array | null} */
  order = null;
  /** @type {ModelledColumns | null} */
  #modelled = null;

  /**
   * @param {import('./head.js').Head} head
   * @param {import('./schema.js').Schema} schema
   * @param {import('./limits.js').Limits} limits
   */
  constructor(head, schema, limits) {
    this.head = head;
    this.schema = schema;
    this.limits = limits;
    this.expected = new Set([...schema.extras, ...schema.exact]);
  }

  /**
   * Read a chunk.
   *
   * @param {import('./fields.js').FieldReader} fields
   * @param {import('./tile.js').Tile[]} tiles with all integers
   */
  read(fields, tiles) {
    const kind = fields.u8('kind', COLUMN, ROW_ORDER);
    if (kind === COLUMN) this.#readColumn(fields, tiles);
    else if (kind === ELEMENTS) this.#readElements(fields);
    else if (kind === EXCEPTIONS) this.#readExceptions(fields);
    else this.#readRowOrder(fields);
  }

  /** What the schema announces must be there. */
  checkComplete() {
    const { schema, expected, columns } = this;
    require(expected.size === columns.size, 'the file lacks exact columns');
    require(schema.elements === (this.elements !== null), 'elements and schema do not agree');
    require(schema.originalOrder === (this.order !== null), 'row order and schema do not agree');
  }

  #readColumn(
    /** @type {import('./fields.js').FieldReader} */ fields,
    /** @type {import('./tile.js').Tile[]} */ tiles,
  ) {
    const { head, schema, columns } = this;
    const property = schema.properties[fields.u16('property', 0, schema.properties.length - 1)];
    const { name, type } = property;
    fields.require(this.expected.has(name), `${name} is no exact column`);
    fields.require(!columns.has(name), `the exact column ${name} stands twice`);
    if (fields.u8('code', 0, 1) === 1) {
      this.#modelled ??= new ModelledColumns(head, tiles);
      columns.set(name, this.#modelled.read(fields, type));
      return;
    }
    const { size, array } = TYPES[type];
    const planes = inflate(fields.rest(), size * head.gaussians);
    const column = new array(head.gaussians);
    joinPlanes(planes, size, bytesOf(column));
    columns.set(name, column);
  }

  #readElements(/** @type {import('./fields.js').FieldReader} */ fields) {
    fields.require(this.elements === null, 'the elements stand twice');
    fields.require(this.schema.elements, 'the elements are not announced');
    const size = Number(fields.u64());
    if (size > this.limits.elementBytes) throw new LimitError(`${size} bytes of elements exceed the limit`);
    this.elements = parseElements(inflate(fields.rest(), size), this.limits);
  }

  #readExceptions(/** @type {import('./fields.js').FieldReader} */ fields) {
    const { head, schema } = this;
    fields.require(this.exceptions === null, 'the exceptions stand twice');
    const count = fields.u32('count', 0, head.gaussians * schema.properties.length);
    const bytes = inflate(fields.rest(), EXCEPTION_BYTES * count);
    const view = new DataView(bytes.buffer);
    const rows = new Uint32Array(count);
    let row = 0;
    for (let i = 0; i < count; i++) {
      row += view.getUint32(4 * i, true);
      require(row < head.gaussians, 'an exception names a row that does not exist');
      rows[i] = row;
    }
    const properties = Uint16Array.from(rows, (_, i) => view.getUint16(4 * count + 2 * i, true));
    require(
      properties.every((property) => property < schema.properties.length),
      'an exception names a property that does not exist',
    );
    this.exceptions = { rows, properties, values: bytes.subarray(6 * count) };
  }

  #readRowOrder(/** @type {import('./fields.js').FieldReader} */ fields) {
    const { gaussians } = this.head;
    fields.require(this.order === null, 'the row order stands twice');
    fields.require(this.schema.originalOrder, 'the row order is not announced');
    this.order =
      fields.u8('code', 0, 1) === 0
        ? readDifferences(inflate(fields.rest(), 8 * gaussians), gaussians)
        : readRanks(new BitReader(fields.rest()), gaussians);
  }
}

/** From all first bytes, all second bytes, ... to the values. */
function joinPlanes(
  /** @type {Uint8Array} */ planes,
  /** @type {number} */ size,
  /** @type {Uint8Array} */ values,
) {
  const count = values.length / size;
  for (let byte = 0, from = 0; byte < size; byte++) {
    for (let i = 0; i < count; i++) values[size * i + byte] = planes[from++];
  }
}

function readDifferences(/** @type {Uint8Array} */ planes, /** @type {number} */ count) {
  const differences = new BigInt64Array(count);
  joinPlanes(planes, 8, bytesOf(differences));
  const order = new Uint32Array(count);
  const named = new Uint8Array(count);
  let row = 0;
  for (let i = 0; i < count; i++) {
    row += Number(differences[i]);
    require(row >= 0 && row < count && named[row] === 0, 'the row order is no permutation');
    named[row] = 1;
    order[i] = row;
  }
  return order;
}

/** Each row is sent as its rank among those not yet named, which a Fenwick tree counts. */
function readRanks(/** @type {BitReader} */ bits, /** @type {number} */ count) {
  const order = new Uint32Array(count);
  const tree = Int32Array.from({ length: count + 1 }, (_, i) => i & -i);
  const top = count > 0 ? 2 ** (31 - Math.clz32(count)) : 0;
  for (let i = 0; i < count; i++) {
    let rank = bits.read(32 - Math.clz32(count - i - 1));
    require(rank < count - i, 'a rank of the row order is too large');
    let row = 0;
    for (let step = top; step > 0; step >>= 1) {
      if (row + step <= count && tree[row + step] <= rank) {
        row += step;
        rank -= tree[row];
      }
    }
    order[i] = row;
    for (let node = row + 1; node <= count; node += node & -node) tree[node]--;
  }
  bits.finish();
  return order;
}
